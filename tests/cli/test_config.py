"""Where settings come from, which place wins, and what is said about a bad one."""

from dataclasses import fields
from pathlib import Path

import pytest
from gohttp import config
from gohttp.config import Config, ConfigError, command_line, keywords, load, resolve, settings


@pytest.fixture(autouse=True)
def _in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load_with(environ: dict[str, str] | None = None, **options: object) -> Config:
    return load(command_line(options), environ if environ is not None else {})


def refusal(environ: dict[str, str] | None = None, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_with(environ, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert caught.value.exit_code == 2
    return sentence


def test_defaults_are_the_documented_ones() -> None:
    made = load_with()
    assert made == Config()
    assert (made.host, made.port, made.uds, made.workers) == ("127.0.0.1", 8000, None, 1)
    assert (made.header_timeout, made.body_timeout) == (10, 30)
    assert (made.idle_timeout, made.write_timeout, made.graceful_timeout) == (75, 60, 30)
    assert (made.max_head_size, made.max_headers, made.max_body_size) == (65536, 100, 0)


def test_every_field_has_a_setting_whose_default_is_valid() -> None:
    assert [s.name for s in settings()] == [f.name for f in fields(Config)]
    for setting in settings():
        assert setting.check(setting.default) == setting.default
        assert setting.help.endswith((".", "app dir."))
        assert setting.env == "GOHTTP_" + setting.name.upper()


def test_command_line_beats_environment_beats_file_beats_default() -> None:
    Path("gohttp.toml").write_text("port = 1\nworkers = 2\nthreads = 3\n")
    made = load_with({"GOHTTP_PORT": "4", "GOHTTP_WORKERS": "5"}, port="6")
    assert (made.port, made.workers, made.threads, made.backlog) == (6, 5, 3, 2048)


def test_options_left_out_do_not_count() -> None:
    made = load_with({"GOHTTP_RELOAD": "yes", "GOHTTP_RELOAD_DIR": "a:b"}, reload=None, port=None)
    assert made.reload is True
    assert made.reload_dir == ("a", "b")
    assert load_with({"GOHTTP_RELOAD": "yes"}, reload=False).reload is False


def test_empty_variable_counts_as_not_set() -> None:
    assert load_with({"GOHTTP_PORT": ""}).port == 8000


def test_pyproject_table_is_read() -> None:
    Path("pyproject.toml").write_text('[tool.gohttp]\nport = 9\nmax_body_size = "2m"\n')
    made = load_with()
    assert (made.port, made.max_body_size) == (9, 2 * 1024 * 1024)


def test_pyproject_without_our_table_is_left_alone() -> None:
    Path("pyproject.toml").write_text("[tool.other]\nport = 9\n")
    assert load_with() == Config()


def test_gohttp_toml_is_read_instead_of_pyproject() -> None:
    Path("gohttp.toml").write_text("port = 1\n")
    Path("pyproject.toml").write_text("[tool.gohttp]\nport = 2\nthreads = 2\n")
    made = load_with()
    assert (made.port, made.threads) == (1, 16)


def test_file_in_app_dir_and_its_paths_start_there(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "gohttp.toml").write_text('uds = "run/x.sock"\nreload_dir = ["src", "lib"]\n')
    made = load_with(app_dir="service")
    assert made.uds == str(folder / "run/x.sock")
    assert made.reload_dir == (str(folder / "src"), str(folder / "lib"))
    assert made.app_dir == "service"


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("64k", 65536),
        ("64K", 65536),
        ("2 mb", 2 << 20),
        ("1GiB", 1 << 30),
    ],
)
def test_sizes(written: str, size: int) -> None:
    assert load_with(max_body_size=written).max_body_size == size


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_flags_in_the_environment(word: str) -> None:
    assert load_with({"GOHTTP_ACCESS_LOG": word}).access_log is True


def test_choices_ignore_case() -> None:
    assert load_with(log_level="WARNING").log_level == "warning"


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"port": "x"}, '--port: "x" is not a whole number from 0 to 65535'),
        ({"port": "65536"}, '--port: "65536" is not a whole number from 0 to 65535'),
        ({"workers": "0"}, '--workers: "0" is not a whole number from 1'),
        ({"idle_timeout": "0"}, '--idle-timeout: "0" is not a number of seconds from 0.01'),
        ({"idle_timeout": "nan"}, '--idle-timeout: "nan" is not a number of seconds'),
        ({"idle_timeout": "inf"}, '--idle-timeout: "inf" is not a number of seconds'),
        ({"max_body_size": "1x"}, '--max-body-size: "1x" is not a size in bytes'),
        ({"max_body_size": "-1"}, '--max-body-size: "-1" is not a size in bytes'),
        ({"interface": "wsg"}, '--interface: "wsg" is not one of auto, wsgi, asgi, native; did'),
        ({"uds": ""}, '--uds: "" is not a path'),
    ],
)
def test_bad_value_on_the_command_line(options: dict[str, object], start: str) -> None:
    assert refusal(**options).startswith(start)


def test_bad_value_in_the_environment_names_the_variable() -> None:
    assert refusal({"GOHTTP_RELOAD": "perhaps"}).startswith("GOHTTP_RELOAD: ")


def test_bad_value_in_a_file_names_file_and_key(tmp_path: Path) -> None:
    Path("gohttp.toml").write_text("port = 1.5\n")
    sentence = refusal()
    assert sentence.startswith(f"port in {tmp_path / 'gohttp.toml'}: 1.5 is not a whole number")


@pytest.mark.parametrize("value", ["true", "[1]", "{a = 1}", "2000-01-01"])
def test_wrong_toml_type_is_refused(value: str) -> None:
    Path("gohttp.toml").write_text(f"port = {value}\n")
    assert refusal().startswith("port in ")


def test_unknown_key_suggests_the_nearest(tmp_path: Path) -> None:
    Path("gohttp.toml").write_text("prot = 1\n")
    expected = f"{tmp_path / 'gohttp.toml'}: 'prot' is not a setting; did you mean port?"
    assert refusal() == expected


def test_key_with_dashes_suggests_underscores() -> None:
    Path("pyproject.toml").write_text("[tool.gohttp]\nmax-head-size = 1\n")
    assert refusal().endswith("did you mean max_head_size?")


@pytest.mark.parametrize("content", ["port = ", "port 1", "\xff"])
def test_broken_file_is_named(content: str, tmp_path: Path) -> None:
    Path("gohttp.toml").write_bytes(content.encode("latin-1"))
    assert refusal().startswith(f"{tmp_path / 'gohttp.toml'} is not valid TOML: ")


def test_our_table_must_be_a_table() -> None:
    Path("pyproject.toml").write_text("[tool]\ngohttp = 1\n")
    assert "write [tool.gohttp]" in refusal()


def test_env_file_fills_the_environment_without_replacing() -> None:
    Path("my.env").write_text('GOHTTP_PORT=1\nGOHTTP_WORKERS=2\nOTHER="a b"\nBARE\n')
    environ = {"GOHTTP_PORT": "3"}
    made = load_with(environ, env_file="my.env")
    assert (made.port, made.workers) == (3, 2)
    assert environ["OTHER"] == "a b"
    assert "BARE" not in environ


def test_env_file_may_be_named_by_the_configuration_file() -> None:
    Path("gohttp.toml").write_text('env_file = "my.env"\nport = 9\n')
    Path("my.env").write_text("GOHTTP_PORT=1\n")
    assert load_with().port == 1


def test_missing_env_file_is_one_sentence() -> None:
    assert refusal(env_file="no.env").startswith("--env-file: there is no file no.env;")
    assert refusal({"GOHTTP_ENV_FILE": "no.env"}).startswith("GOHTTP_ENV_FILE: there is no file")


def test_keywords_of_a_function() -> None:
    assert resolve(keywords({"port": 1, "uds": None})).port == 1
    with pytest.raises(ConfigError, match=r"^run\(port=…\): \"x\" is not a whole number"):
        resolve(keywords({"port": "x"}))
    with pytest.raises(ConfigError, match=r"^run\(\): 'prot' is not a setting; did you mean port"):
        keywords({"prot": 1})


def test_config_module_says_what_a_setting_wants() -> None:
    by_name = {s.name: s for s in config.settings()}
    assert by_name["max_head_size"].shown_default == "64k"
    assert by_name["access_log"].shown_default == "off"
    assert by_name["uds"].shown_default == ""
