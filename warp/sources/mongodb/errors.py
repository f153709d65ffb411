"""pymongo's errors as cartridge-warp's, at the edge: nothing further in knows pymongo.

Codes: mongo/src/mongo/base/error_codes.yml.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, PyMongoError, WTimeoutError

from warp.errors import Fatal, ServerUnreachable, StreamInvalid, StreamLost, Transient, WarpError

SERVER = "MongoDB"
HISTORY_LOST = 286
TOKEN_UNKNOWN = 280
"""ChangeStreamFatalError. While streaming: the first change after a token that the server does not have has come."""
REFUSED = frozenset({13, 18})
"""Unauthorized, AuthenticationFailed."""
CURSOR_GONE = frozenset({43, 237, 136, 175})
"""CursorNotFound, CursorKilled, CappedPositionLost, QueryPlanKilled."""


class Doing(Enum):
    """What was tried, for errors that mean something else then."""

    READING = "reading"
    OPENING = "opening a change stream at a position"
    STREAMING = "reading a change stream"


@contextmanager
def translated(where: str, doing: Doing = Doing.READING) -> Iterator[None]:
    """Raise this project's errors for pymongo's; `where` is host and port, without credentials."""
    try:
        yield
    except OperationFailure as error:
        raise _refused(error, where, doing) from error
    except DriverConfigurationError as error:
        raise Fatal(f"MongoDB connection string: {_short(error)}") from error
    except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
        if doing is Doing.STREAMING:
            raise StreamInvalid(f"the change stream was cut: {_short(error)}") from error
        raise ServerUnreachable(SERVER, where, _short(error)) from error
    except PyMongoError as error:
        raise Transient(f"MongoDB at {where}: {_short(error)}") from error


def _refused(error: OperationFailure, where: str, doing: Doing) -> WarpError:
    reason = _short(error)
    if error.code == HISTORY_LOST:
        return StreamLost(
            f"MongoDB no longer has the changes after the saved position: {reason}",
            remedy="make the oplog larger (replSetResizeOplog): the schema is read again whole, by itself",
        )
    if error.code in REFUSED:
        return Fatal(
            f"MongoDB at {where} refuses: {reason}",
            remedy="check the user, its password and its roles (read on the database, clusterMonitor for status)",
        )
    resumable = error.code in CURSOR_GONE or error.has_error_label("ResumableChangeStreamError")
    if doing is Doing.STREAMING and (resumable or error.code == TOKEN_UNKNOWN):
        return StreamInvalid(f"the change stream must be opened again: {reason}")
    if doing is Doing.OPENING and not resumable:
        # A token alone is not always enough: that of a change whose _id is a double, say, lacks its type bits.
        return StreamInvalid(f"MongoDB does not take the saved position: {reason}")
    return Transient(f"MongoDB at {where}: {reason}")


def _short(error: PyMongoError) -> str:
    """The first sentence of a driver's message: server selection errors append a page of topology."""
    text = str(error).split(", full error:")[0].split(", Timeout:")[0].split(" (configured timeouts")[0]
    return text[:300]
