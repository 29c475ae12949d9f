"""Blocks of native.md that are whole enough to be run do what the page says of them."""

import asyncio
import inspect
import logging
import re
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import gohttp.testing
import pytest
from gohttp import Mux
from support import wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "native.md").read_text()


def block(beginning: str) -> str:
    """The block of Python that begins so."""
    found = re.search(rf"^```python\n({re.escape(beginning)}.*?)^```$", PAGE, re.M | re.S)
    assert found, beginning
    return found[1]


def test_timed_measures_handlers_of_both_sorts(caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, Any] = {
        "inspect": inspect,
        "time": time,
        "log": logging.getLogger("timed"),
    }
    exec(block("def timed(handler):"), names)
    mux = Mux()
    mux.use(names["timed"])

    @mux.route("/sync")
    def sync(w: Any, req: Any) -> None:
        time.sleep(0.05)
        w.text("done")

    @mux.route("/async")
    async def later(w: Any, req: Any) -> None:
        await asyncio.sleep(0.05)
        w.text("done")

    with caplog.at_level("INFO", "timed"), gohttp.testing.serve(mux) as url:
        for path in ("/sync", "/async"):
            with urlopen(url + path) as answer:
                assert answer.read() == b"done"
        wait_until(lambda: len(caplog.messages) == 2, "both were told of")
    told = dict(re.findall(r"^(/\w+) took (\d\.\d{3}) s$", "\n".join(caplog.messages), re.M))
    assert set(told) == {"/sync", "/async"}
    assert all(float(seconds) >= 0.05 for seconds in told.values()), told
