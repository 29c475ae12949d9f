"""A value of the wrong type is one sentence, whatever the setting and wherever it stands."""

from datetime import date
from pathlib import Path

import pytest
from gohttp.config import ConfigError, command_line, keywords, load, resolve, settings
from gohttp.setting import Kind, Setting
from support import run_gohttp

WRONG = [
    1.5,
    10**400,
    -1,
    float("nan"),
    True,
    [],
    [1],
    [["10.0.0.1"]],
    [{"a": 1}],
    {},
    {"a": {"b": [1]}},
    None,
    date(2000, 1, 1),
    b"bytes",
    object(),
    "\0",
    "a\nb",
    "x" * 10_000,
]
FITTING = {  # of those above, what a kind may well take
    Kind.HOST: ("x" * 10_000,),
    Kind.PATH: ("a\nb", "x" * 10_000),
    Kind.SOCKET: ("a\nb", "x" * 10_000),
    Kind.PATHS: ([], "a\nb", "x" * 10_000),
    Kind.NETWORKS: ([],),
    Kind.SECONDS: (1.5,),
    Kind.FLAG: (True,),
}


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.name)
def test_every_setting_refuses_wrong_types_in_one_sentence(setting: Setting) -> None:
    for value in WRONG:
        if any(repr(value) == repr(each) for each in FITTING.get(setting.kind, ())):
            continue
        if value is None and setting.default is None:
            continue
        with pytest.raises(ConfigError) as caught:
            resolve(keywords({setting.name: value}))
        sentence = str(caught.value)
        assert sentence.startswith(f"run({setting.name}=…): ")
        assert " is not " in sentence
        assert "\n" not in sentence
        assert len(sentence) < 250
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", ["1", "1.5", "true", "[1]", '[["a"]]', "{a = 1}", "1979-05-27"])
@pytest.mark.parametrize("key", ["trusted_proxies", "port", "access_log", "uds", "reload_dir"])
def test_wrong_types_in_the_file(key: str, value: str, tmp_path: Path) -> None:
    if (key, value) in (("port", "1"), ("access_log", "true")):
        return
    (tmp_path / "gohttp.toml").write_text(f"{key} = {value}\n")
    with pytest.raises(ConfigError) as caught:
        load(command_line({"app_dir": str(tmp_path)}), {})
    assert str(caught.value).startswith(f"{key} in {tmp_path / 'gohttp.toml'}: ")


def test_wrong_type_is_no_traceback_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "gohttp.toml").write_text("trusted_proxies = [1]\n")
    done = run_gohttp("serve", "app:app", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "[1] is not an address, a network such as 10.0.0.0/8, or *" in done.stderr


def test_tool_that_is_no_table_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 1\n")
    assert load(command_line({"app_dir": str(tmp_path)}), {}).port == 8000


@pytest.mark.parametrize("written", ["660", "0660", "0o660"])
def test_uds_mode_is_octal_text(written: str) -> None:
    assert resolve(keywords({"uds_mode": written})).uds_mode == "660"


@pytest.mark.parametrize("written", ["888", "rw", "1777", "6600", 660])
def test_uds_mode_that_is_none(written: object) -> None:
    with pytest.raises(ConfigError, match='octal permissions in quotes, such as "660"'):
        resolve(keywords({"uds_mode": written}))


def test_uds_may_be_written_as_gunicorn_does() -> None:
    assert resolve(keywords({"uds": "unix:/run/x.sock"})).uds == "/run/x.sock"
    with pytest.raises(ConfigError, match="is not a path"):
        resolve(keywords({"uds": "unix:"}))


def test_root_path_begins_with_a_slash() -> None:
    assert resolve(keywords({"root_path": ""})).root_path == ""
    assert resolve(keywords({"root_path": "/shop"})).root_path == "/shop"
    with pytest.raises(ConfigError, match='"shop" is not a prefix that begins with /, such as'):
        resolve(keywords({"root_path": "shop"}))
