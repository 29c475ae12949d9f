"""Real apps of many frameworks, served by gohttp and used over HTTP and WebSocket.

Those of Flask, Django, FastAPI and Starlette are started once per way of serving them: one worker
and two, and for ASGI on asyncio and on uvloop; the others once.  With

    GOHTTP_TEST_SERVER=reference python -m pytest tests/frameworks

gunicorn (WSGI) and uvicorn (ASGI) take gohttp's place; they are not among the test packages, so
`pip install gunicorn uvicorn` first.  A test that fails on both is wrong itself; one that fails
only without the switch has found a fault of gohttp.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import niquests
import pytest

from .serving import REFERENCE, Server, session_for


def pytest_report_header() -> str:
    return f"frameworks served by: {'gunicorn and uvicorn' if REFERENCE else 'gohttp'}"


@pytest.fixture
def client(server: Server) -> Iterator[niquests.Session]:
    """A client with cookies and connections of its own, for the module's server."""
    with session_for(server) as session:
        yield session


@pytest.fixture(scope="session")
def upload_bytes() -> bytes:
    """Some megabytes that no two chunks of are alike."""
    return os.urandom(5 * 1024 * 1024 + 137)


@pytest.fixture
def upload_file(upload_bytes: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "photo.bin"
    file.write_bytes(upload_bytes)
    return file
