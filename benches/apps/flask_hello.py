"""Hello from Flask, as its quickstart writes it."""

from flask import Flask

app = Flask(__name__)


@app.route("/")
def hello() -> str:
    return "Hello, world.\n"
