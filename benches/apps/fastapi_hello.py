"""Hello from FastAPI, as an async endpoint."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI(openapi_url=None)


@app.get("/", response_class=PlainTextResponse)
async def hello() -> str:
    return "Hello, world.\n"
