"""What a program in Rust is told when an app, or Python, cannot be had."""

import re
import sys
from pathlib import Path

import pytest
from hosts import HOSTS, ROOT, refusal

HERE = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere:app", "There is no module 'nowhere' in .*apps or on the Python path; .*"),
        ("wsgi_cases:ap", "wsgi_cases has no attribute 'ap'; did you mean .*app.*"),
        ("wsgi_cases:PIECES", "wsgi_cases:PIECES is an int.*"),
        ("asgi_cases:refuses", r"The app refused to start .*; its message is above\."),
        ("::", "'::' is not a target; .*"),
    ],
)
def test_an_app_that_cannot_be_had_is_told_in_a_sentence(host: str, target: str, sentence: str):
    said = refusal(host, "127.0.0.1:0", f"/py={target}")
    *above, last = said.splitlines()
    assert re.fullmatch(rf'{host}: (at "/py": )?{sentence}', last), said
    assert not last.endswith("..")
    assert above == (["no database"] if "refuses" in target else [])


@pytest.mark.parametrize("host", HOSTS)
def test_an_environment_that_is_none_is_told(host: str, tmp_path: Path):
    arguments = ("127.0.0.1:0", "/py=wsgi_cases:app")
    said = refusal(host, *arguments, env={"VIRTUAL_ENV": str(tmp_path)})
    assert f"{tmp_path} is no virtual environment: it has no pyvenv.cfg; make one with:" in said
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "lib" / "python3.1").mkdir(parents=True)
    said = refusal(host, *arguments, env={"VIRTUAL_ENV": str(tmp_path)})
    assert f"{tmp_path} is of python3.1, and this program is linked with {HERE}; " in said


def test_all_modules_of_the_package_are_carried():
    source = (ROOT / "src" / "embed" / "package.rs").read_text(encoding="utf-8")
    carried = re.findall(r'include_str!\("\.\./\.\./python/gohttp/(\w+)\.py"\)', source)
    assert carried == sorted(path.stem for path in (ROOT / "python" / "gohttp").glob("*.py"))
