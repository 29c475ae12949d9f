"""Where log lines go, and how the server's logging lives beside the app's."""

import logging
import logging.config
from collections.abc import Iterator

import pytest
from gohttp import GohttpError, logs


@pytest.fixture(autouse=True)
def _fresh_loggers() -> Iterator[None]:
    ours = (logs.logger, logs.access_logger)
    before = [(each, each.level, each.handlers[:], each.propagate) for each in ours]
    for each in ours:
        each.handlers.clear()
        each.propagate = True
    yield
    for each, level, handlers, propagate in before:
        each.setLevel(level)
        each.handlers[:] = handlers
        each.propagate = propagate
        each.disabled = False


def test_messages_go_to_stderr_and_access_lines_to_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", access_log=True)
    logging.getLogger("gohttp.server").info("hello %s", "there")
    logging.getLogger("gohttp.server").debug("not this")
    logs.access_logger.info("GET / 200")
    out, err = capsys.readouterr()
    assert out == "GET / 200\n"
    assert err.endswith(" hello there\n")
    assert " info " in err
    assert "not this" not in err


def test_access_log_is_independent_of_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("error", access_log=True)
    logs.access_logger.info("GET / 200")
    assert capsys.readouterr().out == "GET / 200\n"
    assert logs.engine_level("error", access_log=True) == logging.INFO
    assert logs.engine_level("error", access_log=False) == logging.ERROR
    assert logs.engine_level("debug", access_log=True) == logging.DEBUG


def test_no_access_log_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", access_log=False)
    logs.access_logger.info("GET / 200")
    assert capsys.readouterr() == ("", "")


def test_handlers_somebody_gave_before_are_kept() -> None:
    theirs = logging.NullHandler()
    logs.logger.addHandler(theirs)
    logs.configure("info", access_log=False)
    assert logs.logger.handlers == [theirs]


def test_configuring_twice_adds_nothing() -> None:
    logs.configure("info", access_log=True)
    logs.configure("debug", access_log=True)
    assert len(logs.logger.handlers) == len(logs.access_logger.handlers) == 1
    assert logs.logger.level == logging.DEBUG


def test_handlers_the_app_gives_replace_ours() -> None:
    logs.configure("info", access_log=False)
    theirs = logging.NullHandler()
    logs.logger.addHandler(theirs)
    logs.after_app_import()
    assert logs.logger.handlers == [theirs]


def test_app_that_disables_existing_loggers_does_not_silence_us() -> None:
    logs.configure("info", access_log=False)
    child = logging.getLogger("gohttp.server")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
    assert child.disabled
    logs.after_app_import()
    assert not child.disabled
    assert not logs.logger.disabled


def test_report_is_details_then_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    logs.report(GohttpError("What, where, how to mend it.", details="Traceback\n"))
    assert capsys.readouterr().err == "Traceback\ngohttp: What, where, how to mend it.\n"
