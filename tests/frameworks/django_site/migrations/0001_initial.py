from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [  # noqa: RUF012 (Django's own style)
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("author", models.CharField(max_length=40)),
                ("text", models.TextField()),
            ],
        ),
    ]
