"""Builds the C library and its programs once a session."""

import programs
import pytest


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    missing = programs.tools_missing()
    if missing:
        pytest.skip(f"programs in C need {missing}")
    programs.build()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of each file may wait for the build."""
    mine = [i for i in items if "tests/c/" in i.nodeid or i.nodeid.startswith("c/")]
    for first in {item.path: item for item in reversed(mine)}.values():
        first.add_marker(pytest.mark.timeout(programs.BUILD_TIMEOUT + 60))
