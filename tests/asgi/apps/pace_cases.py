"""ASGI apps whose requests have much to do before they wait for something."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import asgi_cases
import httpx
from asgi_cases import Receive, Scope, Send, answer, at, key_of

app = asgi_cases.app

FIRST_STEP = 0.002  # seconds without a wait: it makes a kind of request heavy
TURNS = 3  # of the loop, in which another would be in the way
AT_MOST = 20.0


@dataclass
class Seen:
    under_way: int = 0
    most: int = 0
    begun: list[str] = field(default_factory=list)


_seen = Seen()


@at("/keep-the-loop")
async def keep_the_loop(scope: Scope, _receive: Receive, send: Send) -> None:
    """Makes a file, whose name is the query, and waits until it is gone."""
    gate = Path(key_of(scope))
    gate.touch()
    deadline = time.monotonic() + AT_MOST
    while gate.exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    await answer(send, b"kept")


@at("/heavy")
async def heavy(scope: Scope, _receive: Receive, send: Send) -> None:
    _seen.begun.append(key_of(scope))
    _seen.under_way += 1
    _seen.most = max(_seen.most, _seen.under_way)
    time.sleep(FIRST_STEP)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    _seen.under_way -= 1
    await answer(send, b"heavy")


@at("/light")
async def light(scope: Scope, _receive: Receive, send: Send) -> None:
    _seen.begun.append(key_of(scope))
    await answer(send, b"light")


@at("/seen")
async def seen(_scope: Scope, _receive: Receive, send: Send) -> None:
    """How many were under way at most, and what has begun, in order; to begin anew."""
    await answer(send, [_seen.most, _seen.begun])
    _seen.most = 0
    _seen.begun.clear()


@at("/peer")
async def peer(scope: Scope, _receive: Receive, send: Send) -> None:
    """The port of the client, which tells its connections apart."""
    await answer(send, scope["client"][1])


@at("/ask")
async def ask(scope: Scope, _receive: Receive, send: Send) -> None:
    """Asks the address in the query, over connections that all requests share."""
    response = await shared_client().get(key_of(scope))
    await answer(send, response.content)


_clients: list[httpx.AsyncClient] = []


def shared_client() -> httpx.AsyncClient:
    if not _clients:
        _clients.append(httpx.AsyncClient(trust_env=False, timeout=AT_MOST))
    return _clients[0]
