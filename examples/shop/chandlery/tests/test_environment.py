import os
from pathlib import Path
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from config import environment


class Environment(SimpleTestCase):
    def read(self, variables, function, *arguments):
        with mock.patch.dict(os.environ, variables, clear=True):
            return function(*arguments)

    def test_without_a_database_it_is_a_file(self):
        found = self.read({}, environment.database, Path("/tmp/x"))
        self.assertEqual(found["NAME"], Path("/tmp/x/db.sqlite3"))

    def test_a_url_is_taken_apart(self):
        url = "postgres://shop:p%40ss@db1:5433/shop?sslmode=require"
        found = self.read({"DATABASE_URL": url}, environment.database, Path("."))
        self.assertEqual(
            [found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")],
            ["shop", "shop", "p@ss", "db1", "5433"],
        )
        self.assertEqual(found["OPTIONS"]["sslmode"], "require")

    def test_single_variables_do_the_same(self):
        found = self.read({"DB_NAME": "shop", "DB_SSLMODE": "require"}, environment.database, Path("."))
        self.assertEqual((found["NAME"], found["OPTIONS"]["sslmode"]), ("shop", "require"))

    def test_what_can_not_be_read_is_an_error(self):
        with self.assertRaisesMessage(ImproperlyConfigured, "'mysql'"):
            self.read({"DATABASE_URL": "mysql://x"}, environment.database, Path("."))
        with self.assertRaisesMessage(ImproperlyConfigured, "'flase'"):
            self.read({"DEBUG": "flase"}, environment.flag, "DEBUG")
        with self.assertRaisesMessage(ImproperlyConfigured, "SECRET_KEY is not set"):
            self.read({}, environment.secret_key, False)
