"""From TARGET to the app, and what is said when the way is blocked."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from gohttp.importer import App, ImporterError, load_app

WSGI = "def app(environ, start_response):\n    return []\n"


@pytest.fixture(autouse=True)
def _clean_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(name: str, source: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def refused(target: str, **options: object) -> ImporterError:
    with pytest.raises(ImporterError) as caught:
        load_app(target, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code != 0
    return caught.value


@pytest.mark.parametrize(
    "target", ["mod:app", "mod", "mod.py", "mod.py:app", "./mod.py", "mod:holder.app"]
)
def test_forms_of_target(target: str) -> None:
    write("mod.py", WSGI + "class holder:\n    app = staticmethod(app)\n")
    loaded = load_app(target)
    assert loaded.interface == "wsgi"
    assert loaded.app.__name__ == "app"  # type: ignore[attr-defined]


def test_application_is_found_after_app() -> None:
    write("mod.py", WSGI.replace("def app", "def application"))
    assert load_app("mod").name == "mod:application"


@pytest.mark.parametrize(("target", "factory"), [("mod:make()", False), ("mod:make", True)])
def test_factory(target: str, factory: bool) -> None:
    write("mod.py", WSGI + "def make(debug=False):\n    return app\n")
    assert load_app(target, factory=factory) == App(sys.modules["mod"].app, "wsgi", "mod:make()")


def test_app_dir_comes_first_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    write("service/colorsys.py", WSGI)  # also the name of a module of Python's
    loaded = load_app("colorsys:app", app_dir="service")
    assert sys.path[0] == str(Path("service").resolve())
    assert loaded.interface == "wsgi"


def test_file_in_a_package_keeps_its_relative_imports() -> None:
    write("src/pkg/__init__.py", "")
    write("src/pkg/other.py", WSGI)
    write("src/pkg/main.py", "from .other import app\n")
    assert load_app("src/pkg/main.py").interface == "wsgi"


def test_file_with_a_name_python_uses_does_not_replace_it() -> None:
    import logging

    write("logging.py", WSGI)
    assert load_app("logging.py:app").interface == "wsgi"
    assert sys.modules["logging"] is logging


def test_file_whose_name_is_no_module_name() -> None:
    write("my-app.py", WSGI)
    assert load_app("my-app.py").interface == "wsgi"


def test_interface_is_forced() -> None:
    write("mod.py", "def app(*args):\n    return []\n")
    assert load_app("mod:app", interface="asgi").interface == "asgi"
    assert load_app("mod:app", interface="wsgi").interface == "wsgi"


def test_module_with_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    native = types.ModuleType("gohttp._native_api")
    native.has_routes = lambda: True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gohttp._native_api", native)
    write("mod.py", "")
    loaded = load_app("mod")
    assert loaded.interface == "native"
    assert loaded.app is sys.modules["mod"]


@pytest.mark.parametrize("target", ["", ":app", "mod:", "a b", "mod:a b", "mod:()", "1:2:3"])
def test_malformed(target: str) -> None:
    assert "is not a target" in str(refused(target))


def test_arguments_for_a_factory() -> None:
    assert "without arguments" in str(refused("mod:make('x')"))


def test_missing_module_suggests_one() -> None:
    write("server.py", WSGI)
    error = refused("sever:app")
    assert str(error).startswith("There is no module 'sever' in ")
    assert str(error).endswith("did you mean server:app?")
    assert not error.details


def test_module_that_is_a_file_is_no_package() -> None:
    write("mod.py", WSGI)
    assert str(refused("mod.app")).endswith("did you mean mod:app?")


def test_missing_import_inside_the_app_is_the_apps_own_traceback() -> None:
    write("mod.py", "import nothing_of_that_name\n")
    error = refused("mod:app")
    assert str(error).startswith("mod could not be imported: ModuleNotFoundError")
    assert "nothing_of_that_name" in error.details


def test_traceback_starts_at_the_apps_first_frame() -> None:
    write("helper.py", "def fail():\n    raise ValueError('deep')\n")
    write("mod.py", "import helper\nhelper.fail()\n")
    for target in ("mod:app", "mod.py"):
        details = refused(target).details
        frames = [line for line in details.splitlines() if line.startswith("  File")]
        assert len(frames) == 2
        assert "mod.py" in frames[0]
        assert "helper.py" in frames[1]
        assert details.endswith("ValueError: deep\n")


def test_syntax_error_shows_only_the_line() -> None:
    write("mod.py", "def f(:\n")
    details = refused("mod:app").details
    assert details.lstrip().startswith('File "')
    assert "mod.py" in details
    assert "importlib" not in details


def test_chained_errors_are_kept() -> None:
    write(
        "mod.py",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e\n",
    )
    details = refused("mod:app").details
    assert "ZeroDivisionError" in details
    assert "direct cause" in details


def test_app_that_exits_while_imported() -> None:
    write("mod.py", "import sys\nsys.exit(3)\n")
    assert "ended the program (exit code 3)" in str(refused("mod:app"))


def test_missing_attribute_suggests_one() -> None:
    write("mod.py", WSGI)
    assert str(refused("mod:aap")) == "mod has no attribute 'aap'; did you mean 'app'?"
    assert "mod:app has no attribute 'zzz'" in str(refused("mod:app.zzz"))


def test_module_without_an_app() -> None:
    write("mod.py", "x = 1\n")
    assert str(refused("mod")).endswith("name the app, as in mod:NAME.")
    write("fac.py", "def create_app():\n    pass\n")
    assert "fac:create_app()" in str(refused("fac"))


@pytest.mark.parametrize("interface", ["auto", "wsgi"])
def test_not_callable(interface: str) -> None:
    write("mod.py", "app = 3\n")
    assert "not an app" in str(refused("mod:app", interface=interface))


def test_factory_forgotten_to_call() -> None:
    write("mod.py", "def make():\n    pass\n")
    assert str(refused("mod:make")).endswith("if it makes the app, write mod:make().")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def make(a, b):\n    pass\n", "needs 2 arguments"),
        ("def make():\n    return None\n", "returned None"),
        ("async def make():\n    return 1\n", "is an async function"),
        ("make = 3\n", "cannot be called"),
        ("def make():\n    raise OSError('no db')\n", "could not be called: OSError"),
    ],
)
def test_bad_factory(source: str, said: str) -> None:
    write("mod.py", source)
    error = refused("mod:make()")
    assert said in str(error)
    if "OSError" in said:
        assert error.details.splitlines()[1].endswith("in make")


def test_missing_file_and_directory() -> None:
    assert "no file nothing.py" in str(refused("nothing.py"))
    assert "--app-dir nowhere is not a directory" in str(refused("mod:app", app_dir="nowhere"))
    Path("folder").mkdir()
    assert "is not a .py file" in str(refused("./folder"))
