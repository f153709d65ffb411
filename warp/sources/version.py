"""Name and version of a source's server, for people: `warp.sources.base.Source` does not need it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

_VERSIONS = {"mongodb": "warp.sources.mongodb.version:server"}


def source_server(kind: str, connection_string: str) -> str:
    """Name and version of the server of a source of that type. Raises ServerUnreachable, Transient or Fatal."""
    module, name = _VERSIONS[kind].split(":")
    ask: Callable[[str], str] = getattr(import_module(module), name)
    return ask(connection_string)
