"""What a ship's chandler sells, and what was asked for."""

from django.core.validators import MinValueValidator
from django.db import models


class Category(models.Model):
    name = models.CharField(max_length=60, unique=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "name"]
        verbose_name_plural = "categories"

    def __str__(self):
        return self.name


class Product(models.Model):
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    name = models.CharField(max_length=120)
    slug = models.SlugField(unique=True)
    description = models.TextField(blank=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, validators=[MinValueValidator(0)])
    # The default lives in the database as well: code of an older release, which does not know
    # the column, can go on inserting rows.
    stock = models.PositiveIntegerField(default=0, db_default=0)
    photo = models.FileField(upload_to="products/", blank=True, null=True)

    class Meta:
        ordering = ["category", "name"]
        indexes = [models.Index(fields=["name"], name="product_by_name")]

    def __str__(self):
        return self.name


class Enquiry(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="enquiries")
    email = models.EmailField()
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    asked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-asked_at"]
        verbose_name_plural = "enquiries"

    def __str__(self):
        return f"{self.quantity} × {self.product}"
