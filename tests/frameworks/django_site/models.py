from django.db import models


class Note(models.Model):
    author = models.CharField(max_length=40)
    text = models.TextField()

    def __str__(self) -> str:
        return f"{self.author}: {self.text}"
