"""HTTP over raw sockets against real servers.  The helpers are in conversation.py."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from conversation import serve_echo
from support import Server

Servers = Callable[..., Server]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """`servers(face, *options)`: a server with the echo app; one for each set of options.

    It is shared by the tests of all files, so a test must not stop it.
    """
    running: dict[tuple[str, ...], Server] = {}
    with ExitStack() as stack:

        def serve(face: str, *options: str) -> Server:
            key = (face, *options)
            if key not in running:
                running[key] = stack.enter_context(serve_echo(face, *options))
            return running[key]

        yield serve


@pytest.fixture
def server(servers: Servers, face: str) -> Server:
    """The echo app of the parameter `face`, with default settings."""
    return servers(face)
