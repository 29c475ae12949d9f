"""The examples of handlers in C: cffi and numba; and an extension module of one's own."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zlib
from pathlib import Path

import gohttp.c
import pytest
from support import clean_environment, gohttp_serve

EXAMPLES = Path(__file__).parents[2] / "examples" / "c_handlers"
APPS = Path(__file__).parent / "apps"


def needs(module: str) -> pytest.MarkDecorator:
    absent = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(absent, reason=f"{module} is not installed")


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def path_with(folder: Path) -> dict[str, str]:
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([known] if known else [])])}


@needs("cffi")
@needs("setuptools" if sys.version_info >= (3, 12) else "cffi")  # cffi compiles by distutils
@needs_compiler
@pytest.mark.timeout(120)
def test_example_in_c_by_cffi(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(EXAMPLES / "build_fast.py"), str(tmp_path)],
        env=clean_environment(),
        check=True,
    )
    with gohttp_serve("fast_app:mux", cwd=EXAMPLES, env=path_with(tmp_path)) as server:
        assert server.get("/greet/Ada").text == "Hello, Ada. You are number 1.\n"
        assert server.get("/greet/Gr%C3%BC%C3%9Fe").text == "Hello, Grüße. You are number 2.\n"
        body = os.urandom(300_000)
        answer = server.request("POST", "/adler", body=body)
        assert answer.text == f"{zlib.adler32(body):08x}\n"
        assert server.get("/count").text == "3\n"


@needs("numba")
@pytest.mark.timeout(120)
def test_example_by_numba() -> None:
    with gohttp_serve("numba_app:mux", cwd=EXAMPLES, ready_timeout=100) as server:
        answer = server.get("/primes")
        assert (answer.status, answer.text) == (200, "25\n9592\n")


@needs_compiler
def test_extension_module_takes_the_functions_as_its_own(tmp_path: Path) -> None:
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        pytest.skip("there is no Python.h")
    module = tmp_path / f"c_extension{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = ["-shared", "-fPIC", "-Wall", "-Werror", f"-I{include}", f"-I{gohttp.c.include()}"]
    source = str(APPS / "c_extension.c")
    subprocess.run(["cc", *flags, source, "-o", str(module)], check=True)
    (tmp_path / "app.py").write_text(
        "import c_extension, gohttp\nmux = gohttp.Mux()\nmux.handle_c('/', c_extension.greet)\n"
    )
    with gohttp_serve("app:mux", cwd=tmp_path) as server:
        answer = server.get("/")
        assert (answer.text, answer.header("x-from")) == ("from an extension", "extension")
