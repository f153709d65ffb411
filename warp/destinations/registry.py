"""The destinations that exist, by the `type:` of a configuration. Each is imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from warp.destinations.base import Destination
from warp.errors import ConfigurationError

_DESTINATIONS = {"postgresql": "warp.destinations.postgresql.destination:open_destination"}


def known_types() -> tuple[str, ...]:
    """The values that `destination.type` may have."""
    return tuple(_DESTINATIONS)


def open_destination(kind: str, connection_string: str) -> Destination:
    """Connect to a destination of that type.

    Raises ConfigurationError for a type that does not exist, ServerUnreachable where the server does not answer.
    """
    try:
        module, name = _DESTINATIONS[kind].split(":")
    except KeyError:
        raise ConfigurationError(f"no destination of type {kind!r}; there are: {', '.join(_DESTINATIONS)}") from None
    opener: Callable[[str], Destination] = getattr(import_module(module), name)
    return opener(connection_string)
