"""Which of the tests with a `site` can be: without an event loop there is no ASGI."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_asgi: for sites with an event loop")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    impossible = [item for item in items if _asks_for_what_is_not_there(item)]
    if impossible:
        items[:] = [item for item in items if item not in impossible]
        config.hook.pytest_deselected(items=impossible)


def _asks_for_what_is_not_there(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if params.get("site") != "threads_only":
        return False
    return params.get("kind") == "asgi" or item.get_closest_marker("needs_asgi") is not None
