from django.db import models


class Counter(models.Model):
    name = models.CharField(max_length=40, unique=True)
    value = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


class Entry(models.Model):
    counter = models.ForeignKey(Counter, on_delete=models.CASCADE)
    number = models.IntegerField()
    token = models.CharField(max_length=40, unique=True)
    pid = models.IntegerField()
    thread = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.counter} {self.token}"
