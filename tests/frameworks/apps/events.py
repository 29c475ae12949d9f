"""How an app tells a test what happened: in a file, as the app may be several processes."""

import gc
import os
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])


def collected_events() -> list[str]:
    """The events so far, with those of async generators that were dropped but not closed.

    A framework that is cancelled while its generator waits at a yield leaves it to the collector.
    """
    gc.collect()
    file = FOLDER / "events"
    return file.read_text().splitlines() if file.exists() else []


def record(event: str) -> None:
    with (FOLDER / "events").open("a") as file:
        file.write(event + "\n")
