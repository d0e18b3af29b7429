from django.db import migrations, models


class Migration(migrations.Migration):
    """Safe while the release before still runs: both columns have a default in the database or may be empty."""

    dependencies = [("chandlery", "0001_initial")]

    operations = [
        migrations.AddField("product", "stock", models.PositiveIntegerField(default=0, db_default=0)),
        migrations.AddField("product", "photo", models.FileField(blank=True, upload_to="products/", null=True)),
    ]
