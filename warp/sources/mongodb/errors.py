"""pymongo's errors as cartridge-warp's, at the edge: nothing further in knows pymongo.

Codes: mongo/src/mongo/base/error_codes.yml.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, PyMongoError, WTimeoutError

from warp.errors import Fatal, ServerUnreachable, StreamInvalid, StreamLost, Transient

SERVER = "MongoDB"
HISTORY_LOST = 286
REFUSED = frozenset({13, 18})
"""Unauthorized, AuthenticationFailed."""
TOKEN_REFUSED = frozenset({260, 280})
"""InvalidResumeToken, ChangeStreamFatalError."""
CURSOR_GONE = frozenset({43, 237, 136, 175})
"""CursorNotFound, CursorKilled, CappedPositionLost, QueryPlanKilled."""


@contextmanager
def translated(where: str, *, streaming: bool = False) -> Iterator[None]:
    """Raise this project's errors for pymongo's; `where` is host and port, without credentials."""
    try:
        yield
    except OperationFailure as error:
        reason = f"{error.code_name if hasattr(error, 'code_name') else ''} {_short(error)}".strip()
        if error.code == HISTORY_LOST:
            raise StreamLost(
                f"MongoDB no longer has the changes after the saved position: {reason}",
                remedy="make the oplog larger (replSetResizeOplog), then load the schema again",
            ) from error
        if streaming and error.code in TOKEN_REFUSED:
            raise StreamInvalid(f"MongoDB refuses the saved position: {reason}") from error
        if error.code in REFUSED:
            raise Fatal(
                f"MongoDB at {where} refuses: {reason}",
                remedy="check the user, its password and its roles (read on the database, clusterMonitor for status)",
            ) from error
        if streaming and (error.code in CURSOR_GONE or error.has_error_label("ResumableChangeStreamError")):
            raise StreamInvalid(f"the change stream must be opened again: {reason}") from error
        raise Transient(f"MongoDB at {where}: {reason}") from error
    except DriverConfigurationError as error:
        raise Fatal(f"MongoDB connection string: {_short(error)}") from error
    except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
        if streaming:
            raise StreamInvalid(f"the change stream was cut: {_short(error)}") from error
        raise ServerUnreachable(SERVER, where, _short(error)) from error
    except PyMongoError as error:
        raise Transient(f"MongoDB at {where}: {_short(error)}") from error


def _short(error: PyMongoError) -> str:
    """The first sentence of a driver's message: server selection errors append a page of topology."""
    text = str(error).split(", full error:")[0].split(", Timeout:")[0].split(" (configured timeouts")[0]
    return text[:300]
