"""Errors a person reads: what they say, how they end a command, and what drivers' errors become."""

from __future__ import annotations

from typing import Any

import psycopg
import pymongo.errors
import pytest
import redis.exceptions

from warp import errors
from warp.destinations.postgresql.errors import translated as translated_psycopg
from warp.errors import (
    ConfigurationError,
    DifferencesFound,
    EmbeddedUnavailable,
    ExitCode,
    Fatal,
    Poison,
    ServerUnreachable,
    StreamInvalid,
    StreamLost,
    Transient,
    WarpError,
)
from warp.sources.mongodb.errors import Doing
from warp.sources.mongodb.errors import translated as translated_pymongo
from warp.transport.client import translated as translated_redis


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Fatal("no"), ExitCode.FAILED),
        (ConfigurationError("no"), ExitCode.USAGE),
        (DifferencesFound("no"), ExitCode.DIFFERENT),
        (ServerUnreachable("Redis", "localhost:1", "refused"), ExitCode.UNREACHABLE),
        (EmbeddedUnavailable("no"), ExitCode.FAILED),
    ],
)
def test_an_error_ends_a_command_with_its_code(error: WarpError, code: ExitCode) -> None:
    assert error.exit_code is code


def test_exit_codes_are_an_interface() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "DIFFERENT": 3,
        "UNREACHABLE": 4,
    }
    assert all(code.meaning for code in ExitCode)


def test_an_error_without_a_message_says_what_its_class_says() -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, WarpError) and kind is not ServerUnreachable:
            assert str(kind()) == kind.__doc__


def test_an_unreachable_server_is_one_line() -> None:
    error = ServerUnreachable("MongoDB", "localhost:27017", "refused\n  by   it", remedy="start it")
    assert str(error) == "MongoDB at localhost:27017 cannot be reached: refused by it"
    assert error.remedy == "start it"


def test_a_configuration_error_names_every_problem() -> None:
    assert str(ConfigurationError("wrong", problems=["a: b", "c: d"])) == "wrong\n  a: b\n  c: d"


def _failure(code: int, message: str = "why", labels: tuple[str, ...] = ()) -> pymongo.errors.OperationFailure:
    return pymongo.errors.OperationFailure(message, code, {"errorLabels": list(labels)})


@pytest.mark.parametrize(
    ("raised", "doing", "becomes"),
    [
        (_failure(286), Doing.STREAMING, StreamLost),
        (_failure(286), Doing.OPENING, StreamLost),
        (_failure(13), Doing.READING, Fatal),
        (_failure(18), Doing.STREAMING, Fatal),
        (_failure(43), Doing.STREAMING, StreamInvalid),
        (_failure(237), Doing.STREAMING, StreamInvalid),
        (_failure(1, labels=("ResumableChangeStreamError",)), Doing.STREAMING, StreamInvalid),
        (_failure(280), Doing.OPENING, StreamInvalid),
        (_failure(260), Doing.OPENING, StreamInvalid),
        (_failure(246), Doing.READING, Transient),
        (pymongo.errors.AutoReconnect("gone"), Doing.STREAMING, StreamInvalid),
        (pymongo.errors.AutoReconnect("gone"), Doing.READING, ServerUnreachable),
        (pymongo.errors.ServerSelectionTimeoutError("nobody"), Doing.OPENING, ServerUnreachable),
        (pymongo.errors.ConfigurationError("odd"), Doing.READING, Fatal),
        (pymongo.errors.PyMongoError("odd"), Doing.READING, Transient),
    ],
)
def test_errors_of_mongodb(raised: Exception, doing: Doing, becomes: type[WarpError]) -> None:
    with pytest.raises(becomes), translated_pymongo("localhost:27017", doing):
        raise raised


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (psycopg.errors.InvalidPassword("no"), Fatal),
        (psycopg.errors.InvalidCatalogName("no"), Fatal),
        (psycopg.errors.InsufficientPrivilege("no"), Fatal),
        (psycopg.errors.UndefinedColumn("no"), Fatal),
        (psycopg.errors.NumericValueOutOfRange("no"), Poison),
        (psycopg.errors.UniqueViolation("no"), Poison),
        (psycopg.errors.ProgramLimitExceeded("no"), Poison),
        (psycopg.errors.LockNotAvailable("no"), Transient),
        (psycopg.errors.DeadlockDetected("no"), Transient),
        (psycopg.errors.SerializationFailure("no"), Transient),
        (psycopg.errors.AdminShutdown("no"), Transient),
        (psycopg.errors.DiskFull("no"), Transient),
        (psycopg.OperationalError("connection refused"), ServerUnreachable),
    ],
)
def test_errors_of_postgresql(raised: Exception, becomes: type[WarpError]) -> None:
    with pytest.raises(becomes), translated_psycopg("localhost:5432"):
        raise raised


def test_poison_does_not_repeat_what_postgresql_says_of_the_row() -> None:
    error = psycopg.errors.UniqueViolation("Key (email)=(someone@example.org) already exists.")
    with pytest.raises(Poison) as raised, translated_psycopg("localhost:5432"):
        raise error
    assert "example.org" not in str(raised.value)


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (redis.exceptions.ConnectionError("refused"), ServerUnreachable),
        (redis.exceptions.TimeoutError("slow"), ServerUnreachable),
        (redis.exceptions.AuthenticationError("no"), Fatal),
        (redis.exceptions.ResponseError("NOAUTH Authentication required."), Fatal),
        (redis.exceptions.ResponseError("OOM command not allowed"), Transient),
        (redis.exceptions.RedisError("odd"), Transient),
    ],
)
def test_errors_of_redis(raised: Exception, becomes: type[WarpError]) -> None:
    with pytest.raises(becomes), translated_redis("localhost:6379"):
        raise raised


@pytest.mark.parametrize("translated", [translated_psycopg, translated_redis, translated_pymongo])
def test_what_is_not_a_drivers_error_passes(translated: Any) -> None:
    with pytest.raises(ZeroDivisionError), translated("somewhere"):
        raise ZeroDivisionError
