from django.contrib import admin

from .models import Category, Enquiry, Product


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "position"]
    list_editable = ["position"]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "category", "price", "stock"]
    list_filter = ["category"]
    search_fields = ["name", "description"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Enquiry)
class EnquiryAdmin(admin.ModelAdmin):
    list_display = ["product", "quantity", "email", "asked_at"]
    date_hierarchy = "asked_at"
    readonly_fields = ["asked_at"]
