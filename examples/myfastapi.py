"""A small FastAPI app: a to-do list, with what FastAPI does beside answering requests.

    gohttp serve myfastapi:app

Its own documentation is at /docs.  The list is in memory, so that each worker has its own:
serve it with one worker (the default).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

log = logging.getLogger("myfastapi")


class Task(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    done: bool = False


class Store:
    """The list; open as long as the server runs."""

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.next_id = 1
        self.readers = 0

    def add(self, task: Task) -> int:
        number, self.next_id = self.next_id, self.next_id + 1
        self.tasks[number] = task
        return number


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Store]]:
    """Before the first request and after the last one."""
    store = Store()
    store.add(Task(title="Try gohttp", done=True))
    yield {"store": store}
    log.warning("stopping with %d tasks", len(store.tasks))


app = FastAPI(title="Tasks", lifespan=lifespan)


async def opened(request: Request) -> AsyncIterator[Store]:
    """A dependency with an end: what follows the yield runs when the answer is made."""
    store: Store = request.state.store
    store.readers += 1
    try:
        yield store
    finally:
        store.readers -= 1


Opened = Annotated[Store, Depends(opened)]


def announce(number: int, title: str) -> None:
    """Runs after the client has its answer."""
    time.sleep(0.1)
    log.warning("task %d was added: %s", number, title)


@app.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    return RedirectResponse("/docs")


@app.get("/tasks")
async def tasks(store: Opened) -> dict[int, Task]:
    return store.tasks


@app.post("/tasks", status_code=201)
async def add(task: Task, store: Opened, background: BackgroundTasks) -> dict[str, int]:
    number = store.add(task)
    background.add_task(announce, number, task.title)
    return {"id": number}


@app.get("/tasks/{number}")
async def one_task(number: int, store: Opened) -> Task:
    if number not in store.tasks:
        raise HTTPException(404, "There is no such task.")
    return store.tasks[number]


@app.get("/sleep/async")
async def sleep_on_the_loop(seconds: Annotated[float, Query(ge=0, le=10)] = 1) -> dict[str, float]:
    """Waits without a thread: thousands of these can wait at once."""
    await asyncio.sleep(seconds)
    return {"slept": seconds}


@app.get("/sleep/sync")
def sleep_in_a_thread(seconds: Annotated[float, Query(ge=0, le=10)] = 1) -> dict[str, float]:
    """A plain function: FastAPI runs it in a thread, so that it does not stop the loop."""
    time.sleep(seconds)
    return {"slept": seconds}


@app.get("/count")
async def count(to: Annotated[int, Query(ge=1, le=1000)] = 10) -> StreamingResponse:
    """Sends a line every tenth of a second; try it with `curl -N`."""

    async def lines() -> AsyncIterator[str]:
        for n in range(1, to + 1):
            yield f"{n}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/squares")
def squares(to: Annotated[int, Query(ge=1, le=1_000_000)] = 1000) -> StreamingResponse:
    """The same from a plain generator."""

    def lines() -> Iterator[str]:
        yield "n,square\r\n"
        for n in range(1, to + 1):
            yield f"{n},{n * n}\r\n"

    return StreamingResponse(lines(), media_type="text/csv")
