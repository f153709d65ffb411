"""pymongo's errors as cartridge-warp's, at the edge: nothing further in knows pymongo.

Codes: mongo/src/mongo/base/error_codes.yml. What is done about each class: `warp.retry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum

from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, PyMongoError, WTimeoutError

from warp.errors import Fatal, Refused, ServerUnreachable, StreamInvalid, StreamLost, Transient, WarpError

SERVER = "MongoDB"
HISTORY_LOST = 286
TOKEN_UNKNOWN = 280
"""ChangeStreamFatalError. While streaming: the first change after a token that the server does not have has come."""
UNAUTHORIZED = 13
REFUSED = frozenset({11, 18, 31, 334, 391, 8000})
"""UserNotFound, AuthenticationFailed, RoleNotFound, MechanismUnavailable, ReauthenticationRequired, AtlasError."""
CURSOR_GONE = frozenset({43, 237, 136, 175})
"""CursorNotFound, CursorKilled, CappedPositionLost, QueryPlanKilled."""


PASSING = frozenset(
    {6, 7, 24, 50, 89, 91, 112, 133, 134, 150, 189, 202, 225, 234, 239, 246, 251, 262, 290}
    | {9001, 10058, 10107, 11600, 11601, 11602, 13388, 13435, 13436}
)
"""HostUnreachable, HostNotFound, LockTimeout, MaxTimeMSExpired, NetworkTimeout, ShutdownInProgress, WriteConflict,
FailedToSatisfyReadPreference, ReadConcernMajorityNotAvailableYet, StaleEpoch, PrimarySteppedDown,
NetworkInterfaceExceededTimeLimit, TransactionTooOld, RetryChangeStream, SnapshotTooOld, SnapshotUnavailable,
NoSuchTransaction, ExceededTimeLimit, TransactionExceededLifetimeLimitSeconds, SocketException, LegacyNotPrimary,
NotWritablePrimary, InterruptedAtShutdown, Interrupted, InterruptedDueToReplStateChange, StaleConfig,
NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary."""
_MEND: Mapping[int, str] = {
    20: "use a replica set: start mongod with --replSet and run rs.initiate()",
    40573: "use a replica set: start mongod with --replSet and run rs.initiate()",
    59: "upgrade MongoDB to 5.0 or newer",
    115: "upgrade MongoDB to 5.0 or newer",
    166: "a view was put in the collection's place: rename it",
    167: "a view was put in the collection's place: rename it",
}
"""IllegalOperation and $changeStream without a replica set, CommandNotFound, CommandNotSupported,
CommandNotSupportedOnView, OptionNotSupportedOnView."""


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
        raise Refused(f"MongoDB connection string: {_short(error)}") from error
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
        return Refused(
            f"MongoDB at {where} refuses: {reason}", remedy="check the user and its password, and authSource"
        )
    if error.code == UNAUTHORIZED:
        return Fatal(
            f"MongoDB at {where} refuses: {reason}",
            remedy="grant the user the role read on the database (and clusterMonitor, for status)",
        )
    if (remedy := _MEND.get(error.code or 0)) is not None:
        return Fatal(f"MongoDB at {where}: {reason}", remedy=remedy)
    resumable = error.code in CURSOR_GONE or error.has_error_label("ResumableChangeStreamError")
    if doing is Doing.STREAMING and (resumable or error.code == TOKEN_UNKNOWN):
        return StreamInvalid(f"the change stream must be opened again: {reason}")
    if doing is Doing.OPENING and not resumable and error.code not in PASSING:
        # A token alone is not always enough: that of a change whose _id is a double, say, lacks its type bits.
        return StreamInvalid(f"MongoDB does not take the saved position: {reason}")
    return Transient(f"MongoDB at {where}: {reason}")


def _short(error: PyMongoError) -> str:
    """The first sentence of a driver's message: server selection errors append a page of topology."""
    # An object that is too large is quoted, by its first element.
    text = str(error)
    for rest in (" First element:", ", full error:", ", Timeout:", " (configured timeouts"):
        text = text.split(rest)[0]
    return text[:300]
