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
    """The first test waits for the build."""
    mine = [item for item in items if "tests/c/" in item.nodeid or item.nodeid.startswith("c/")]
    if mine:
        mine[0].add_marker(pytest.mark.timeout(programs.BUILD_TIMEOUT + 60))
