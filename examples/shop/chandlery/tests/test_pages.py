from unittest import mock

from django.db import OperationalError
from django.test import TestCase, override_settings
from django.urls import reverse

from chandlery.models import Category, Enquiry, Product

PLAIN = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}


@override_settings(STORAGES=PLAIN, SECURE_SSL_REDIRECT=False, RELEASE="r7", HOST_NAME="quay")
class Pages(TestCase):
    def setUp(self):
        shelf = Category.objects.create(name="Test shelf")
        self.oar = Product.objects.create(category=shelf, name="Oar", slug="oar", price="19.50", stock=4)

    def test_the_catalogue_lists_rows_of_the_database_and_says_who_answers(self):
        page = self.client.get(reverse("catalogue"))
        self.assertContains(page, "Oar")
        self.assertContains(page, "19.50")
        self.assertContains(page, "<code>r7</code> on <code>quay</code>")

    def test_an_enquiry_is_stored_and_confirmed(self):
        page = self.client.post(self.url(), {"quantity": 2, "email": "mate@example.test"}, follow=True)
        self.assertContains(page, "2 × Oar")
        self.assertEqual(Enquiry.objects.get().product, self.oar)

    def test_a_wrong_enquiry_stores_nothing(self):
        page = self.client.post(self.url(), {"quantity": 0, "email": "nobody"})
        self.assertEqual(page.status_code, 200)
        self.assertEqual(Enquiry.objects.count(), 0)

    def test_an_unknown_article_is_not_found(self):
        self.assertEqual(self.client.get("/products/none/").status_code, 404)

    def test_health_is_one_query(self):
        with self.assertNumQueries(1):
            answer = self.client.get(reverse("healthz"))
        self.assertEqual(answer.json(), {"status": "ok", "release": "r7", "host": "quay"})

    def test_health_says_so_when_the_database_is_away_and_tells_no_details(self):
        with mock.patch("chandlery.views.connection.cursor", side_effect=OperationalError("password=x")):
            answer = self.client.get(reverse("healthz"))
        self.assertEqual(answer.status_code, 503)
        self.assertEqual(answer.json()["error"], "OperationalError")
        self.assertNotContains(answer, "password", status_code=503)

    def url(self):
        return reverse("product", args=[self.oar.slug])


class Transport(TestCase):
    @override_settings(SECURE_SSL_REDIRECT=True)
    def test_plain_http_is_sent_to_https_unless_the_proxy_says_it_was(self):
        self.assertEqual(self.client.get("/healthz/").status_code, 301)
        self.assertEqual(self.client.get("/healthz/", headers={"X-Forwarded-Proto": "https"}).status_code, 200)
