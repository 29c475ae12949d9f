"""An MCP server over streamable HTTP."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asgi_common import Secret, gate, loop_name
from events import record
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


@asynccontextmanager
async def lifespan(server: MCPServer) -> AsyncIterator[dict[str, int]]:
    yield {"opened_in": os.getpid()}


mcp = MCPServer("shop", instructions="Ask for the price.", lifespan=lifespan)


@mcp.tool()
def price(item: str, count: int = 1) -> int:
    """What so many of it cost."""
    return len(item) * count


@mcp.tool()
async def loop() -> str:
    return loop_name()


@mcp.tool()
async def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@mcp.tool()
async def large(size: int) -> str:
    return "x" * size


@mcp.tool()
async def work(steps: int, ctx: Context) -> str:
    """Tells how far it is while it works."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
    return "worked"


@mcp.tool()
async def gated(token: str, ctx: Context) -> str:
    await ctx.report_progress(1, 2, "waiting")
    await gate(token)
    return f"passed {token}"


@mcp.tool()
async def waits(token: str, ctx: Context) -> str:
    try:
        await ctx.report_progress(1, 2, "waiting")
        await asyncio.Event().wait()
    finally:
        record(f"left {token}")
    return "never"


@mcp.tool()
async def fails() -> str:
    raise ValueError("this tool fails")


@mcp.resource("note://{name}")
def note(name: str) -> str:
    return f"the note of {name}"


@mcp.prompt()
def greet(name: str) -> str:
    return f"Greet {name}."


@mcp.custom_route("/fails", ["GET"])
async def page_fails(request: Request) -> Response:
    raise Secret("endpoint")


@mcp.custom_route("/health", ["GET"])
async def health(request: Request) -> Response:
    return PlainTextResponse("well")


app = mcp.streamable_http_app(json_response=os.environ.get("MCP_JSON") == "1")
