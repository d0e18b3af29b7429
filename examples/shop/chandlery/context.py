from django.conf import settings


def where(request):
    """Which release and machine made this page, for every template."""
    return {"release": settings.RELEASE, "host_name": settings.HOST_NAME}
