"""What a person may have meant with a TARGET that leads to no app."""

import difflib
import inspect
import os
import types
from pathlib import Path
from types import ModuleType

from gohttp.interface import UnknownInterface, detect_interface

USUAL_NAMES = ("app", "application")
_FACTORIES = ("create_app", "make_app", "get_app")
_ENTRY_MODULES = ("wsgi", "asgi")  # what Django calls them
_FUNCTION_LIKE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def for_attribute(holder: object, path: str, wanted: str) -> str:
    """The hint for `path`, which has no attribute `wanted`."""
    meant = _for_module(holder, path)
    if meant is not None and wanted in USUAL_NAMES:
        return meant
    names = [name for name in dir(holder) if not name.startswith("__")]
    near = difflib.get_close_matches(wanted, names, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else meant or "check the spelling."


def for_module(module: ModuleType, path: str) -> str:
    """The hint for a module that has no app under a usual name."""
    return _for_module(module, path) or f"name the app, as in {path}:NAME."


def _for_module(holder: object, path: str) -> str | None:
    if not isinstance(holder, ModuleType):
        return None
    apps = _apps_in(holder)
    if apps:
        return f"did you mean {path}:{apps[0]}?"
    factories = [name for name in _FACTORIES if callable(vars(holder).get(name))]
    if factories:
        return f"to call its factory, write {path}:{factories[0]}()."
    entries = [f"{holder.__name__}.{name}" for name in _ENTRY_MODULES if _contains(holder, name)]
    return f"did you mean {' or '.join(entries)}?" if entries else None


def _apps_in(module: ModuleType) -> list[str]:
    """Names of what looks like an app; the usual names first."""
    found = [name for name in USUAL_NAMES if callable(vars(module).get(name))]
    for name, value in vars(module).items():
        if not name.startswith("_") and name not in found and _is_app_object(value):
            found.append(name)
    return found


def _is_app_object(value: object) -> bool:
    """Whether it is an object that can be called as an app; functions are too many to tell."""
    if isinstance(value, _FUNCTION_LIKE) or not callable(value):
        return False
    try:
        detect_interface(value)
    except UnknownInterface:
        return False
    except Exception:  # a proxy that is not to be touched now
        return False
    return True


def _contains(package: ModuleType, name: str) -> bool:
    folders = getattr(package, "__path__", ())
    return any(os.path.isfile(os.path.join(folder, f"{name}.py")) for folder in folders)


def origin(module: ModuleType, app_dir: Path) -> str:
    """`, imported from FILE,` for a module that is not from the app's folder; else empty."""
    file = getattr(module, "__file__", None)
    if file is None or Path(file).resolve().is_relative_to(app_dir):
        return ""
    return f", imported from {file},"


def shadowed(name: str, module: ModuleType, app_dir: Path) -> str | None:
    """The sentence when an installed `module` came in the place of one in the app's folder."""
    parts = name.split(".")
    candidates = [
        app_dir.joinpath(*parts).with_suffix(".py"),
        app_dir.joinpath(*parts, "__init__.py"),
    ]
    local = next((path for path in candidates if path.is_file()), None)
    if local is None:
        return None
    try:
        file = inspect.getfile(module)
        if os.path.samefile(os.path.dirname(file), local.parent):
            return None
    except (TypeError, OSError):  # built in, or not a file: then it is not the local one
        file = "Python itself"
    package = local.name == "__init__.py"
    other = "" if package else f", or write {os.path.relpath(local)} as TARGET"
    return (
        f"The module {name} is {file}, which was loaded before {local} could be; rename "
        f"{'the folder' if package else 'the file'}{other}."
    )
