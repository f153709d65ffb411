"""A Redis client as this project uses it, and redis-py's errors as cartridge-warp's: `warp.retry` says what is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    ClusterCrossSlotError,
    ConnectionError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)

from warp.config.secrets import redact
from warp.errors import Fatal, Refused, ServerUnreachable, Transient, WarpError

SERVER = "Redis"
CONNECT_TIMEOUT = 5.0


def connect(url: str) -> redis.Redis:
    """A client that connects when it is first used. Values stay bytes: payloads are not text.

    Raises Fatal for an address that the client does not take.
    """
    try:
        return redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT, socket_timeout=30.0)
    except (ValueError, TypeError):
        # redis-py quotes what it does not understand: hence no cause either.
        raise Fatal("redis.connection_string is not one that Redis's client takes") from None


def where(url: str) -> str:
    """The server's address for messages, without its password."""
    return redact(url)


_REFUSES = (AuthenticationError, AuthorizationError, AuthenticationWrongNumberOfArgsError, NoPermissionError)
_PASSWORD = "check the user, its password and its rights (~warp:* ~rq:* +@all), and redis.connection_string"
_REMEDIES: Mapping[str, tuple[type[Transient | Refused], str | None]] = {
    "OOM": (
        Transient,
        "give Redis more memory (maxmemory), with maxmemory-policy noeviction, or lower log_high_water_mark",
    ),
    "READONLY": (Transient, "redis.connection_string must lead to the primary"),
    "MISCONF": (Transient, "Redis cannot write its file: free some space on its disk, or switch `save` off"),
    "NOREPLICAS": (Transient, "bring Redis's replicas back, or lower min-replicas-to-write"),
    "WRONGTYPE": (Refused, "somebody uses keys that begin with warp: or rq: give cartridge-warp a database of its own"),
    "MOVED": (Refused, "give cartridge-warp a Redis that is no cluster"),
    "CROSSSLOT": (Refused, "give cartridge-warp a Redis that is no cluster"),
    "ERR unknown command": (Refused, "upgrade Redis to 6.2 or newer, without commands renamed"),
}
"""By how a reply begins. Any other one passes: LOADING, BUSY, MASTERDOWN, TRYAGAIN, and what is not known."""
_NAMES: Mapping[type[RedisError], str] = {
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    MovedError: "MOVED",
    ClusterCrossSlotError: "CROSSSLOT",
}
"""redis-py takes these words off the reply, and says them by the class."""


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Raise this project's errors for redis-py's."""
    try:
        yield
    except RedisError as error:
        raise _translate(error, address) from error


def _translate(error: RedisError, address: str) -> WarpError:
    reason = f"{_NAMES.get(type(error), '')} {error}".strip()
    if isinstance(error, _REFUSES) or reason.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return Refused(f"Redis at {address} refuses: {reason}", remedy=_PASSWORD)
    if isinstance(error, ConnectionError | TimeoutError):
        return ServerUnreachable(SERVER, address, reason)
    # A script that fails names itself before its reason.
    found = next((_REMEDIES[word] for word in _REMEDIES if reason.startswith(word) or f": {word}" in reason), None)
    what, remedy = found or (Transient, None)
    return what(f"Redis at {address}: {reason}", remedy=remedy)
