"""Where things lie.  Whatever is fetched or built goes below CACHE, which git ignores."""

from pathlib import Path

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parent
APPS = BENCHES / "apps"
PEERS = BENCHES / "peers"
CACHE = BENCHES / ".cache"
RESULTS = BENCHES / "results"


def without_paths(text: str) -> str:
    """`text` fit to be published: no path of this machine in it."""
    return text.replace(str(ROOT), ".").replace(str(Path.home()), "~")
