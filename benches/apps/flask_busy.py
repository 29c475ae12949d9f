"""A Flask page that takes a few milliseconds of CPU, as a page with templates and queries does."""

from flask import Flask

app = Flask(__name__)


@app.route("/")
def busy() -> str:
    return f"{sum(n * n for n in range(40_000))}\n"
