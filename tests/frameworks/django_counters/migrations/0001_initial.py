from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [  # noqa: RUF012 (Django's own style)
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=40, unique=True)),
                ("value", models.IntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("counter", models.ForeignKey("Counter", on_delete=models.CASCADE)),
                ("number", models.IntegerField()),
                ("token", models.CharField(max_length=40, unique=True)),
                ("pid", models.IntegerField()),
                ("thread", models.BigIntegerField()),
            ],
        ),
    ]
