"""Names that people bring from gunicorn and uvicorn, and names that are only misspelt."""

import re
from pathlib import Path

import pytest
from gohttp import foreign
from gohttp.config import (
    ConfigError,
    command_line,
    foreign_option,
    keywords,
    load,
    settings,
    unknown_variables,
)
from support import gohttp_serve, run_gohttp

APP = """
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-b", "0.0.0.0:8000"], "-b is a setting of gunicorn, not of gohttp: write --host and"),
        (["--bind=:8000"], "write --host and --port, or --uds"),
        (["-c", "conf.py"], "write the settings into gohttp.toml"),
        (["-k", "gthread"], "there is one kind of worker"),
        (["-t", "30"], "write --request-timeout, which is per request"),
        (["--timeout", "30"], "write --request-timeout"),
        (["--max-requests", "9"], "not replaced after a number of requests yet, send SIGHUP"),
        (["--pid", "x.pid"], "there is no pid file"),
        (["--certfile", "x"], "there is no TLS yet"),
        (["--preload"], "each worker imports the app itself"),
        (["--user", "www"], "write User= into the unit of systemd"),
        (["-D"], "let systemd or a container run it"),
        (["--forwarded-allow-ips", "*"], "write --trusted-proxies"),
        (["--access-logfile", "-"], "write --access-log; the lines go to stdout"),
        (["--proxy-headers"], "always read from --trusted-proxies"),
        (["--ws", "none"], "WebSockets are built in"),
        (["--http", "h11"], "the parser is built in"),
        (["--http2"], "served on the same port, always"),
        (["--no-date-header"], "responses always carry Date"),
        (["--no-server-header"], "there is no Server header unless the app sets one"),
        (["--reset-contextvars"], "requests never see context variables of the lifespan"),
        (["--timeout-keep-alive", "5"], "write --idle-timeout"),
        (["--ssl-keyfile", "x"], "there is no TLS yet"),
        (["--log-config", "x"], "with logging in the app"),
        (["--statsd-prefix", "x"], "there are no metrics yet"),
        (["--protocol", "uwsgi"], "write proxy_pass and not uwsgi_pass into nginx"),
        (["--no-control-socket"], "workers are controlled by signals only"),
        (["--fd", "3"], "let a .socket unit of systemd hand the socket over"),
    ],
)
def test_foreign_option(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run_gohttp("serve", "app:app", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    name = arguments[0].partition("=")[0]
    assert done.stderr.startswith(f"gohttp: {name} is a setting of ")
    assert said in done.stderr


def test_foreign_key_and_keyword_are_told_our_keys(tmp_path: Path) -> None:
    (tmp_path / "gohttp.toml").write_text("bind = ':80'\n")
    with pytest.raises(ConfigError) as caught:
        load(command_line({"app_dir": str(tmp_path)}), {})
    assert str(caught.value) == (
        f"{tmp_path / 'gohttp.toml'}: 'bind' is a setting of gunicorn, not of gohttp: write host "
        "and port, or uds for a Unix socket."
    )
    with pytest.raises(ConfigError, match=r"^run\(\): 'timeout_keep_alive' .* write idle_timeout"):
        keywords({"timeout_keep_alive": 5})


def test_every_hint_names_settings_that_exist() -> None:
    ours = {setting.name for setting in settings()}
    spelt: list[str] = []
    for name in foreign._TABLE:
        sentence = foreign.explain(name, lambda ours: spelt.append(ours) or ours)
        assert sentence is not None
        assert "{" not in sentence
        assert sentence.endswith(".")
        assert name not in ours
    assert set(spelt) <= ours


def test_every_setting_that_the_page_on_gunicorn_maps_is_explained_or_ours() -> None:
    page = Path(__file__).parents[2] / "docs" / "coming-from-gunicorn.md"
    rows = re.findall(r"^\| (`[a-z].*?) \|", page.read_text("utf-8"), re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}
    assert len(names) > 100
    ours = {setting.name for setting in settings()}
    assert {name for name in names - ours if foreign.explain(name, str) is None} == set()


def test_unknown_option_keeps_its_own_guess(tmp_path: Path) -> None:
    assert foreign_option("--prt") is None
    done = run_gohttp("serve", "app:app", "--prt", "1", cwd=tmp_path)
    assert "Did you mean" in done.stderr


def test_misspelt_variables_are_named_with_the_nearest() -> None:
    environ = {"GOHTTP_PROT": "1", "GOHTTP_TIMEOUT": "30", "GOHTTP_PORT": "1", "GOHTTP_ZZZZ": ""}
    assert unknown_variables(environ) == [
        "GOHTTP_PROT is not a setting; did you mean GOHTTP_PORT?",
        "GOHTTP_TIMEOUT is a setting of gunicorn, not of gohttp: write GOHTTP_REQUEST_TIMEOUT, "
        "which is per request (docs/coming-from-gunicorn.md).",
        "GOHTTP_ZZZZ is not a setting; gohttp serve --help lists them.",
    ]


def test_misspelt_variable_is_a_warning_of_one_line(write_app) -> None:
    app = write_app(APP)
    (app.cwd / "my.env").write_text("GOHTTP_WORKRES=2\n")
    env = {"GOHTTP_THREDS": "3"}
    with gohttp_serve(app.target, "--env-file", "my.env", cwd=app.cwd, env=env) as server:
        assert server.get("/").body == b"hello"
        warnings = [line for line in server.log() if "warning" in line]
        assert len(warnings) == 2
        assert warnings[0].endswith("GOHTTP_THREDS is not a setting; did you mean GOHTTP_THREADS?")
        assert warnings[1].endswith("GOHTTP_WORKRES is not a setting; did you mean GOHTTP_WORKERS?")
