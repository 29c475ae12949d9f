"""Builds the programs in Rust once a session."""

import hosts
import pytest


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    missing = hosts.what_is_missing()
    if missing:
        pytest.skip(f"programs in Rust that host Python need {missing}")
    hosts.build()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of each file may wait for the build."""
    mine = [i for i in items if "tests/hosts/" in i.nodeid or i.nodeid.startswith("hosts/")]
    for first in {item.path: item for item in reversed(mine)}.values():
        first.add_marker(pytest.mark.timeout(hosts.BUILD_TIMEOUT + 60))
