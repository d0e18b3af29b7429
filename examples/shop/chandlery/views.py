from django.conf import settings
from django.contrib import messages
from django.db import DatabaseError, connection
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from .forms import EnquiryForm
from .models import Product


@require_safe
def catalogue(request):
    products = Product.objects.select_related("category")
    return render(request, "chandlery/catalogue.html", {"products": products})


@require_http_methods(["GET", "HEAD", "POST"])
def product(request, slug):
    item = get_object_or_404(Product.objects.select_related("category"), slug=slug)
    form = EnquiryForm(request.POST or None)
    if form.is_valid():
        enquiry = form.save(commit=False)
        enquiry.product = item
        enquiry.save()
        messages.success(request, f"Noted: {enquiry}. We write to {enquiry.email}.")
        return redirect("product", slug=item.slug)
    return render(request, "chandlery/product.html", {"product": item, "form": form})


@never_cache
@require_safe
def healthz(request):
    """Whether this process can answer: one query, nothing that grows with the data."""
    answer = {"status": "ok", "release": settings.RELEASE, "host": settings.HOST_NAME}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        # The kind only: the text of a database error may hold a host, a user or a query.
        answer.update(status="database unreachable", error=type(error).__name__)
        return JsonResponse(answer, status=503)
    return JsonResponse(answer)
