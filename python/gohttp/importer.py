"""From TARGET, as typed on the command line, to the app object and the interface it speaks.

Forms of TARGET: `module:attr` (attr may be dotted), `module:factory()`, `module` alone, and
`path/to/file.py` or `path/to/file.py:attr`.
"""

import difflib
import functools
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NoReturn, TypeVar

from gohttp import GohttpError, advice
from gohttp.config import InterfaceChoice
from gohttp.interface import (
    Interface,
    UnknownInterface,
    contradiction,
    detect_interface,
    is_mux,
    kind,
    required_parameters,
)

__all__ = ["App", "ImporterError", "Interface", "detect_interface", "load_app"]

_ABSENT = object()

T = TypeVar("T")


class ImporterError(GohttpError):
    """TARGET does not lead to an app; `details` is the app's own traceback, if it raised."""

    exit_code = 2


class AppFailed(ImporterError):
    """The app's own code raised, or ended the program."""

    exit_code = 3


@dataclass(frozen=True)
class App:
    """What is to be served: the object, what it speaks, and its name for people."""

    app: object
    interface: Interface
    name: str


def load_app(
    target: str,
    *,
    app_dir: str = ".",
    factory: bool = False,
    interface: InterfaceChoice = "auto",
) -> App:
    """Import what TARGET names and find out what it speaks.

    Puts `app_dir` (and the folder of a file given as TARGET) first on `sys.path`.
    Raises `ImporterError` in one sentence for everything that can be wrong with it.
    """
    where, attribute, call = _split(target)
    directory = Path(app_dir).resolve()
    if not directory.is_dir():
        raise ImporterError(f"--app-dir {app_dir} is not a directory; give the app's directory.")
    _put_first(directory)
    if _is_path(where):
        module = _import_file(where, directory)
    else:
        module = _import_name(where, directory, target)
    app, name = _find(module, where, attribute, directory)
    return identify(app, name, factory=call or factory, interface=interface)


def identify(
    app: object, name: str, *, factory: bool = False, interface: InterfaceChoice = "auto"
) -> App:
    """What `app`, or what it makes as a `factory`, speaks; raises `ImporterError`."""
    if factory:
        app, name = _call_factory(app, name), f"{name}()"
    if interface != "auto":
        wrong = contradiction(app, interface, has_routes=_has_routes())
        if wrong is not None:
            raise ImporterError(f"{name} {wrong}.")
        return App(app, interface, name)
    try:
        return App(app, detect_interface(app, has_routes=_has_routes()), name)
    except UnknownInterface as error:
        hint = ""
        if not factory and callable(app) and required_parameters(app) == 0:
            hint = f"; if it makes the app, write {name}()"
        raise ImporterError(f"{name} {error}{hint}.") from None


def load_factory(text: str, setting: str, app_dir: str) -> Callable[[], object]:
    """The function that `module:factory`, the value of a setting, names.

    What it gives and raises goes through `ImporterError` too, in one sentence.
    """
    where, _, attribute = text.partition(":")
    directory = Path(app_dir).resolve()
    _put_first(directory)
    try:
        module = _import_name(where, directory, text)
        origin = advice.origin(module, directory)
        factory = _dotted(module, where, attribute, origin)
    except AppFailed as error:
        raise AppFailed(f"{setting}: {error}", details=error.details) from None
    except ImporterError as error:
        raise ImporterError(f"{setting} {text}: {error}", details=error.details) from None
    if not callable(factory):
        raise ImporterError(f"{setting} {text}: that is {kind(factory)}, which cannot be called.")
    needed = required_parameters(factory)
    if needed:
        raise ImporterError(
            f"{setting} {text}: a factory is called without arguments, and this one needs {needed}."
        )
    made = factory
    return lambda: _guarded(made, f"{setting} {text}", doing="called")


def _split(target: str) -> tuple[str, str, bool]:
    """TARGET as (module or path, attribute or "", whether to call it)."""
    where, _, attribute = target.partition(":")
    call = attribute.endswith("()")
    attribute = attribute.removesuffix("()")
    if "(" in attribute:
        raise ImporterError(
            f"{target}: a factory is called without arguments; wrap it in a function of its own "
            "and name that."
        )
    well_formed = bool(where) and (_is_path(where) or re.fullmatch(r"\w+(\.\w+)*", where))
    if not well_formed or (":" in target and not re.fullmatch(r"\w+(\.\w+)*", attribute)):
        raise ImporterError(
            f"{target!r} is not a target; write module:attribute, module:factory() or "
            "path/to/file.py:attribute."
        )
    return where, attribute, call


def _is_path(where: str) -> bool:
    return where.endswith(".py") or os.sep in where


def _put_first(directory: Path) -> None:
    path = str(directory)
    if path in sys.path:
        sys.path.remove(path)
    sys.path.insert(0, path)


def _import_file(where: str, app_dir: Path) -> ModuleType:
    path = next((p for p in (Path(where), app_dir / where) if p.exists()), None)
    if path is None:
        raise ImporterError(f"There is no file {where}; give the path of the app's .py file.")
    path = path.resolve()
    if path.suffix != ".py" or not path.is_file():
        raise ImporterError(f"{where} is not a .py file; give the path of the app's .py file.")
    # A file of a package is imported as part of it, so that its relative imports work.
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    if parts[-1] == "__init__":
        parts.pop()
    _put_first(root)
    name = ".".join(parts)
    if len(parts) > 1:
        return _guarded(lambda: importlib.import_module(name), where)
    if name in sys.modules:  # such as logging.py: do not replace what others have imported
        name = f"gohttp_app_{path.stem}"
    return _guarded(lambda: _execute(name, path), where)


def _execute(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _import_name(name: str, app_dir: Path, target: str) -> ModuleType:
    def missing(error: ImportError) -> str | None:
        """The sentence if the target itself is missing, not something it imports."""
        wanted = error.name or ""
        if not isinstance(error, ModuleNotFoundError) or not f"{name}.".startswith(f"{wanted}."):
            return None
        parent, _, last = wanted.rpartition(".")
        if parent in sys.modules and not hasattr(sys.modules[parent], "__path__"):
            return (
                f"There is no module {wanted!r}, {parent} is a file; did you mean {parent}:{last}?"
            )
        near = difflib.get_close_matches(wanted, _modules_in(app_dir), 1, 0.6)
        hint = f"did you mean {target.replace(wanted, near[0], 1)}?" if near else None
        return (
            f"There is no module {wanted!r} in {app_dir} or on the Python path; "
            f"{hint or 'check the spelling, or point --app-dir at its directory.'}"
        )

    first = name.partition(".")[0]
    loaded = sys.modules.get(first)
    if loaded is not None:
        wrong = advice.shadowed(first, loaded, app_dir)
        if wrong is not None:
            raise ImporterError(wrong)
    return _guarded(lambda: importlib.import_module(name), name, missing)


def _modules_in(directory: Path) -> list[str]:
    files = [p.stem for p in directory.glob("*.py")]
    return files + [p.parent.name for p in directory.glob("*/__init__.py")]


def _find(module: ModuleType, where: str, attribute: str, app_dir: Path) -> tuple[object, str]:
    """The object TARGET names in `module`, and its name for people."""
    origin = "" if _is_path(where) else advice.origin(module, app_dir)
    if attribute:
        return _dotted(module, where, attribute, origin), f"{where}:{attribute}"
    for name in advice.USUAL_NAMES:
        if hasattr(module, name):
            return getattr(module, name), f"{where}:{name}"
    if is_mux(getattr(module, "mux", None)):
        return module.mux, f"{where}:mux"
    if _has_routes():
        return module, where
    hint = advice.for_module(module, where)
    raise ImporterError(
        f"{where}{origin} has neither `app` nor `application`, no Mux `mux`, nor routes; {hint}"
    )


def _dotted(module: ModuleType, where: str, attribute: str, origin: str) -> object:
    found: object = module
    path = where
    for part in attribute.split("."):
        holder, holder_path = found, path
        found = _guarded(functools.partial(getattr, holder, part, _ABSENT), where)
        if found is _ABSENT:
            hint = advice.for_attribute(holder, holder_path, part)
            raise ImporterError(f"{holder_path}{origin} has no attribute {part!r}; {hint}")
        path = f"{path}.{part}" if ":" in path else f"{path}:{part}"
    return found


def _call_factory(factory: object, name: str) -> object:
    if not callable(factory):
        raise ImporterError(f"{name} is {kind(factory)} and cannot be called; leave out the ().")
    needed = required_parameters(factory)
    if needed:
        raise ImporterError(
            f"{name} needs {needed} argument{'s' if needed > 1 else ''}, but a factory is called "
            "with none; wrap it in a function of its own and name that."
        )
    app = _guarded(factory, name, doing="called")
    if app is None:
        raise ImporterError(f"{name}() returned None; let it return the app.")
    if hasattr(app, "__await__") and hasattr(app, "close"):
        app.close()
        raise ImporterError(f"{name} is an async function; a factory must be a plain one.")
    return app


_state = {"importing": False}


def importing() -> bool:
    """Whether the app is being imported right now."""
    return _state["importing"]


def _guarded(
    run: Callable[[], T],
    name: str,
    explain: Callable[[ImportError], str | None] = lambda error: None,
    doing: str = "imported",
) -> T:
    """Run the app's code; what it raises becomes an `ImporterError` with its own traceback."""
    _state["importing"] = True
    try:
        return run()
    except GohttpError:
        # Ours, raised by a call that has no place in an import; it says so itself.
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        failure = error
    finally:
        _state["importing"] = False
    _fail(failure, name, explain, doing)


def _fail(
    error: BaseException, name: str, explain: Callable[[ImportError], str | None], doing: str
) -> NoReturn:
    if isinstance(error, SystemExit):
        raise _ended(error, name, doing)
    first = _first_app_frame(error.__traceback__)
    if first is None and isinstance(error, ImportError):
        sentence = explain(error)
        if sentence is not None:
            raise ImporterError(sentence)
    error = error.with_traceback(first)
    if first is None and isinstance(error, SyntaxError):  # the target itself: no frame ran
        details = "".join(traceback.format_exception_only(error))
    else:
        details = "".join(traceback.format_exception(error))
    raise AppFailed(
        f"{name} could not be {doing}: {type(error).__name__}, see the traceback above.",
        details=details,
    )


def _ended(error: SystemExit, name: str, doing: str) -> AppFailed:
    if error.code is None or isinstance(error.code, int):
        code = int(error.code or 0)
        return AppFailed(
            f"{name} ended the program (exit code {code}) while it was {doing}; put that behind "
            '`if __name__ == "__main__":`.'
        )
    # What is not a number is a message: Python itself would print it.
    return AppFailed(
        f"{name} ended the program while it was {doing}; what it said is above.",
        details=str(error.code),
    )


def _first_app_frame(frames: TracebackType | None) -> TracebackType | None:
    """The traceback without what this file and the import machinery put in front."""
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if file not in (__file__, importlib.__file__) and not file.startswith("<frozen importlib"):
            return frames
        frames = frames.tb_next
    return None


def _has_routes() -> bool:
    # The app imported the native interface if it used it: do not load the engine to ask.
    native = sys.modules.get("gohttp._native_api")
    return native is not None and bool(native.has_routes())
