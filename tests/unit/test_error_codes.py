"""Real codes of each server, and the class of error, hence the answer, that they come to."""

from __future__ import annotations

import psycopg
import pymongo.errors
import pytest
import redis.exceptions
from pymongo.helpers_shared import _check_command_response

from warp.destinations.postgresql.errors import translated as translated_psycopg
from warp.errors import WarpError
from warp.retry import Response, response
from warp.sources.mongodb.errors import Doing
from warp.sources.mongodb.errors import translated as translated_pymongo
from warp.transport.client import translated as translated_redis

POSTGRESQL = {
    Response.WAIT: {
        "08000": "connection exception",
        "08006": "connection failure",
        "25006": "read-only: a standby, since a failover",
        "25P03": "idle in transaction",
        "25P04": "transaction time-out",
        "40001": "serialization failure",
        "40P01": "deadlock",
        "42P06": "another worker made the schema",
        "53000": "insufficient resources",
        "53100": "disk full",
        "53200": "out of memory",
        "53300": "too many connections",
        "55006": "object in use",
        "55P03": "lock not available",
        "57014": "statement time-out",
        "57P01": "admin shutdown",
        "57P02": "crash shutdown",
        "57P03": "starting up",
        "57P05": "idle session time-out",
        "58030": "I/O error",
        "XX000": "internal error",
    },
    Response.ISOLATE: {
        "22001": "string too long",
        "22003": "number out of range",
        "22021": "character not in repertoire",
        "22P02": "invalid text representation",
        "23502": "not null violation",
        "23503": "foreign key violation",
        "23505": "unique violation",
        "23514": "check violation",
        "23P01": "exclusion violation",
        "44000": "with check option violation",
        "54000": "row too large",
        "P0001": "raised by a trigger",
    },
    Response.BLOCK: {
        "0A000": "feature not supported",
        "2BP01": "a view depends on it",
        "3F000": "schema dropped",
        "42501": "insufficient privilege",
        "42601": "syntax error",
        "42701": "column exists",
        "42703": "column dropped",
        "42704": "type dropped",
        "42710": "type of that name",
        "42804": "column retyped",
        "42809": "a view in its place",
        "42883": "function dropped",
        "428C9": "generated column",
        "42P01": "table dropped",
        "42P05": "prepared by another session: a pooler",
        "42P07": "table exists",
        "42P10": "primary key dropped",
        "54011": "too many columns",
        "55000": "not in prerequisite state",
        "26000": "prepared in another session: a pooler",
        "39P01": "trigger protocol violated",
        "P0002": "a trigger's function fails",
        "XX001": "data corrupted",
        "XX002": "index corrupted",
    },
    Response.HOLD: {
        "28000": "invalid authorization",
        "28P01": "invalid password",
        "0P000": "invalid role",
        "3D000": "no such database",
        "57P04": "database dropped",
    },
}
MONGODB = {
    Response.WAIT: {
        6: "HostUnreachable",
        7: "HostNotFound",
        50: "MaxTimeMSExpired",
        89: "NetworkTimeout",
        91: "ShutdownInProgress",
        112: "WriteConflict",
        133: "FailedToSatisfyReadPreference",
        134: "ReadConcernMajorityNotAvailableYet",
        189: "PrimarySteppedDown",
        239: "SnapshotTooOld",
        246: "SnapshotUnavailable",
        262: "ExceededTimeLimit",
        9001: "SocketException",
        10107: "NotWritablePrimary",
        11600: "InterruptedAtShutdown",
        11601: "Interrupted",
        11602: "InterruptedDueToReplStateChange",
        13435: "NotPrimaryNoSecondaryOk",
        13436: "NotPrimaryOrSecondary",
    },
    Response.BLOCK: {
        13: "Unauthorized",
        20: "IllegalOperation",
        40573: "not a replica set",
        59: "CommandNotFound",
        166: "CommandNotSupportedOnView",
    },
    Response.HOLD: {11: "UserNotFound", 18: "AuthenticationFailed", 334: "MechanismUnavailable", 8000: "AtlasError"},
}
STREAMING = {
    Response.REOPEN: {
        43: "CursorNotFound",
        237: "CursorKilled",
        136: "CappedPositionLost",
        280: "ChangeStreamFatalError",
    },
    Response.RELOAD: {286: "ChangeStreamHistoryLost"},
    Response.HOLD: {18: "AuthenticationFailed"},
    Response.BLOCK: {13: "Unauthorized"},
}
REDIS = {
    Response.WAIT: [
        redis.exceptions.ConnectionError("refused"),
        redis.exceptions.TimeoutError("slow"),
        redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        redis.exceptions.MaxConnectionsError("too many"),
        redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
        redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        redis.exceptions.MasterDownError("Link with MASTER is down"),
        redis.exceptions.ResponseError("BUSY Redis is busy running a script."),
        redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis.exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
        redis.exceptions.ExecAbortError("Transaction discarded because of previous errors."),
    ],
    Response.HOLD: [
        redis.exceptions.AuthenticationError("invalid username-password pair or user is disabled."),
        redis.exceptions.AuthorizationError("no"),
        redis.exceptions.NoPermissionError("this user has no permissions to run the 'xadd' command"),
        redis.exceptions.ResponseError("NOAUTH Authentication required."),
        redis.exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis.exceptions.ResponseError("ERR Error running script: @user_script:3: WRONGTYPE Operation against a key"),
        redis.exceptions.MovedError("3999 127.0.0.1:6381"),
        redis.exceptions.ResponseError("ERR unknown command 'XADD', with args beginning with:"),
    ],
}


@pytest.mark.parametrize(("done", "state"), [(done, state) for done, states in POSTGRESQL.items() for state in states])
def test_sqlstates(done: Response, state: str) -> None:
    with pytest.raises(WarpError) as raised, translated_psycopg("localhost:5432"):
        raise psycopg.errors.lookup(state)("why")
    assert response(raised.value) is done
    assert raised.value.remedy or done in (Response.WAIT, Response.ISOLATE)


@pytest.mark.parametrize(
    ("words", "done"),
    [
        ('FATAL:  password authentication failed for user "warp"', Response.HOLD),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "warp", database "w", no encryption', Response.HOLD),
        ('FATAL:  role "warp" does not exist', Response.HOLD),
        ('FATAL:  database "warehouse" does not exist', Response.HOLD),
        ('FATAL:  permission denied for database "warehouse"', Response.HOLD),
        ("FATAL:  sorry, too many clients already", Response.WAIT),
        ("FATAL:  the database system is starting up", Response.WAIT),
        ("Connection refused. Is the server running on that host and accepting TCP/IP connections?", Response.WAIT),
    ],
)
def test_connections_that_postgresql_refuses(words: str, done: Response) -> None:
    with pytest.raises(WarpError) as raised, translated_psycopg("localhost:5432"):
        raise psycopg.OperationalError(f'connection failed: connection to server at "localhost" failed: {words}')
    assert response(raised.value) is done


def test_what_psycopg_refuses_to_send_is_poison() -> None:
    with pytest.raises(WarpError) as raised, translated_psycopg("localhost:5432"):
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes: 'hunter2'")
    assert response(raised.value) is Response.ISOLATE
    assert "hunter2" not in str(raised.value)


def test_a_statement_that_was_planned_before_the_table_evolved_passes() -> None:
    with pytest.raises(WarpError) as raised, translated_psycopg("localhost:5432"):
        raise psycopg.errors.FeatureNotSupported("cached plan must not change result type")
    assert response(raised.value) is Response.WAIT


@pytest.mark.parametrize("doing", [Doing.READING, Doing.OPENING])
@pytest.mark.parametrize(("done", "code"), [(done, code) for done, codes in MONGODB.items() for code in codes])
def test_codes_of_mongodb(done: Response, code: int, doing: Doing) -> None:
    with pytest.raises(WarpError) as raised, translated_pymongo("localhost:27017", doing):
        _check_command_response({"ok": 0, "code": code, "errmsg": "why"}, None)
    assert response(raised.value) is done


@pytest.mark.parametrize(("done", "code"), [(done, code) for done, codes in STREAMING.items() for code in codes])
def test_codes_of_a_change_stream(done: Response, code: int) -> None:
    with pytest.raises(WarpError) as raised, translated_pymongo("localhost:27017", Doing.STREAMING):
        raise pymongo.errors.OperationFailure("why", code, {})
    assert response(raised.value) is done


@pytest.mark.parametrize(("done", "error"), [(done, error) for done, errors in REDIS.items() for error in errors])
def test_replies_of_redis(done: Response, error: redis.exceptions.RedisError) -> None:
    with pytest.raises(WarpError) as raised, translated_redis("localhost:6379"):
        raise error
    assert response(raised.value) is done
