"""FastAPI endpoints written with plain `def`, which run in anyio's threads: / and /work."""

import time

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

WORK_SECONDS = 0.005

app = FastAPI(openapi_url=None)


@app.get("/", response_class=PlainTextResponse)
def hello() -> str:
    return "Hello, world.\n"


@app.get("/work", response_class=PlainTextResponse)
def work() -> str:
    time.sleep(WORK_SECONDS)
    return "Hello, world.\n"
