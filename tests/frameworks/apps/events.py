"""How an app tells a test what happened: in a file, as the app may be several processes."""

import os
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])


def record(event: str) -> None:
    with (FOLDER / "events").open("a") as file:
        file.write(event + "\n")
