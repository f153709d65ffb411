"""A Redis client as this project uses it, and redis-py's errors as cartridge-warp's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError, TimeoutError

from warp.config.secrets import redact
from warp.errors import Fatal, ServerUnreachable, Transient

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


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Raise this project's errors for redis-py's."""
    try:
        yield
    except AuthenticationError as error:
        raise Fatal(f"Redis at {address} refuses: {error}", remedy="check redis.connection_string") from error
    except (ConnectionError, TimeoutError) as error:
        raise ServerUnreachable(SERVER, address, str(error)) from error
    except ResponseError as error:
        if str(error).startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
            raise Fatal(f"Redis at {address} refuses: {error}", remedy="check redis.connection_string") from error
        raise Transient(f"Redis at {address}: {error}") from error
    except RedisError as error:
        raise Transient(f"Redis at {address}: {error}") from error
