"""Imports the package `gohttp` from sources that the program carries."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys


class _Carried(importlib.abc.MetaPathFinder, importlib.abc.ExecutionLoader):
    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._sources:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=fullname == "gohttp")

    def get_source(self, fullname: str) -> str:
        return self._sources[fullname]

    def get_filename(self, fullname: str) -> str:
        return fullname.replace(".", "/") + ".py"

    def is_package(self, fullname: str) -> bool:
        return fullname == "gohttp"


def install(sources: dict[str, str]) -> None:
    """Have `sources`, by the names of their modules, come before what is installed."""
    sys.meta_path.insert(0, _Carried(sources))
