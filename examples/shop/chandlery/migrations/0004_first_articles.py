from django.db import migrations

from chandlery.stock import fill


def forwards(apps, schema_editor):
    # Only an empty shop is filled: whoever has articles of his own keeps just those.
    product = apps.get_model("chandlery", "Product")
    if not product.objects.exists():
        fill(apps.get_model("chandlery", "Category"), product)


class Migration(migrations.Migration):
    dependencies = [("chandlery", "0003_enquiry")]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
