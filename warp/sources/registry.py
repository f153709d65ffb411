"""The sources that exist, by the `type:` of a configuration. Each is imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from warp.errors import ConfigurationError
from warp.sources.base import Source

_SOURCES = {"mongodb": "warp.sources.mongodb.source:open_source"}


def known_types() -> tuple[str, ...]:
    """The values that `source.type` may have."""
    return tuple(_SOURCES)


def open_source(kind: str, connection_string: str) -> Source:
    """Connect to a source of that type.

    Raises ConfigurationError for a type that does not exist, ServerUnreachable where the server does not answer.
    """
    try:
        module, name = _SOURCES[kind].split(":")
    except KeyError:
        raise ConfigurationError(f"no source of type {kind!r}; there are: {', '.join(_SOURCES)}") from None
    opener: Callable[[str], Source] = getattr(import_module(module), name)
    return opener(connection_string)
