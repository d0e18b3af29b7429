from io import StringIO

from django.core.management import call_command
from django.test import TestCase

from chandlery.models import Product
from chandlery.stock import ARTICLES


class Stock(TestCase):
    def test_a_new_shop_has_its_articles(self):
        self.assertEqual(Product.objects.count(), len(ARTICLES))

    def test_seeding_again_adds_only_what_is_missing_and_keeps_what_was_changed(self):
        Product.objects.filter(slug="anchor-lamp").delete()
        Product.objects.filter(slug="deck-brush").update(price="1.00")
        self.assertEqual(self.seed(), "1 articles added\n")
        self.assertEqual(self.seed(), "0 articles added\n")
        self.assertEqual(str(Product.objects.get(slug="deck-brush").price), "1.00")

    def test_an_insert_that_does_not_know_the_stock_column_works(self):
        # What the release before 0002 sends while the new schema is already there.
        from django.db import connection

        shelf = Product.objects.first().category_id
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO chandlery_product (category_id, name, slug, description, price)"
                " VALUES (%s, 'Oar', 'oar', '', 1)",
                [shelf],
            )
        self.assertEqual(Product.objects.get(slug="oar").stock, 0)

    def seed(self):
        out = StringIO()
        call_command("seed", stdout=out)
        return out.getvalue()
