from django.core.management.base import BaseCommand
from django.db import transaction

from chandlery.models import Category, Product
from chandlery.stock import fill


class Command(BaseCommand):
    help = "Fill the shelves with the articles that are missing. A second call adds nothing."

    def handle(self, *args, **options):
        with transaction.atomic():
            added = fill(Category, Product)
        self.stdout.write(f"{added} articles added")
