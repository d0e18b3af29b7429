from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.static import serve

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("chandlery.urls")),
]

if settings.SERVE_STATIC:
    urlpatterns.append(path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT}))
