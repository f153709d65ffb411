"""Logs as `configure_logging` sets them up: one form for all, free of credentials, heard from the right level on."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from warp.config.fields import LogFormat
from warp.monitoring.logging import configure_logging, get_logger

SECRET = "hunter2"
log = get_logger("warp.test")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave no configuration behind for other tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = handlers, level
    logging.getLogger("pymongo.command").setLevel(logging.NOTSET)


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_json_object_with_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", process="tailer")
    with structlog.contextvars.bound_contextvars(correlation_id="c1"):
        log.info("step applied", table="orders", changes=3)

    (event,) = events(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "step applied",
        "level": "info",
        "process": "tailer",
        "logger": "warp.test",
        "correlation_id": "c1",
        "table": "orders",
        "changes": 3,
    }


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", process="worker")
    with structlog.contextvars.bound_contextvars(correlation_id="c1"):
        logging.getLogger("rq.worker").warning("lost %s", "redis", extra={"attempt": 2})

    (event,) = events(capsys)
    assert event.pop("timestamp")
    assert event == {
        "event": "lost redis",
        "level": "warning",
        "process": "worker",
        "logger": "rq.worker",
        "correlation_id": "c1",
        "attempt": 2,
    }


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("DEBUG", ["own debug", "own info", "own warning", "library info", "library warning"]),
        ("INFO", ["own info", "own warning", "library warning"]),
        ("WARNING", ["own warning", "library warning"]),
        ("ERROR", ["library warning"]),
    ],
)
def test_who_is_heard_from_which_level_on(capsys: pytest.CaptureFixture[str], level: str, heard: list[str]) -> None:
    configure_logging(level, "json", process="tailer")
    log.debug("own debug")
    log.info("own info")
    log.warning("own warning")
    logging.getLogger("rq.worker").info("library info")
    logging.getLogger("rq.worker").warning("library warning")

    assert [event["event"] for event in events(capsys)] == heard


def test_commands_with_documents_are_not_logged_at_any_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", "json", process="tailer")
    logging.getLogger("pymongo.command").debug("insert {name: Ada}")

    assert events(capsys) == []


def test_a_second_configuration_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", "json", process="tailer")
    configure_logging("INFO", "json", process="worker")
    log.debug("not heard")
    log.info("heard")
    logging.getLogger("rq.worker").warning("heard once")

    assert [(event["event"], event["process"]) for event in events(capsys)] == [
        ("heard", "worker"),
        ("heard once", "worker"),
    ]


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_no_credentials_whatever_carries_them(capsys: pytest.CaptureFixture[str], fmt: LogFormat) -> None:
    configure_logging("INFO", fmt, process="tailer")
    dsn = f"mongodb://user:{SECRET}@host/db"
    structlog.contextvars.bind_contextvars(server=dsn)
    log.info(f"connecting to {dsn}", dsn=dsn, error=ValueError(dsn), nested={dsn: [dsn, {"dsn": dsn}]}, pair=(dsn, 1))
    try:
        raise ValueError(f"bad: host=h password={SECRET}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("rq.worker").exception("failed at %s", dsn)

    shown = capsys.readouterr().err
    assert SECRET not in shown
    assert "mongodb://***@host/db" in shown
    assert "ValueError: bad: host=h password=***" in shown


def test_no_value_breaks_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", process="tailer")
    log.info("odd", big=2**70, broken="\udcff", data=b"\x00", things={1}, nothing=None, yes=True, half=0.5, key={1: 2})

    (event,) = events(capsys)
    assert event["big"] == str(2**70)
    assert event["broken"] == "\\udcff"
    assert event["data"] == "b'\\x00'"
    assert (event["things"], event["nothing"], event["yes"], event["half"]) == ([1], None, True, 0.5)
    assert event["key"] == {"1": 2}


def test_auto_is_json_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "auto", process="tailer")
    log.info("heard")

    assert events(capsys)[0]["event"] == "heard"


def test_auto_is_console_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    configure_logging("INFO", "auto", process="tailer")
    log.info("heard")

    assert not capsys.readouterr().err.startswith("{")
