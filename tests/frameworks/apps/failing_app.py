"""An app that cannot start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    raise ConnectionError("the database of this app is not there")
    yield


app = Starlette(lifespan=lifespan)
