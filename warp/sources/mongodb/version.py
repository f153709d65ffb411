"""Which MongoDB a server is."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient

from warp.config.secrets import redact
from warp.sources.mongodb.errors import SERVER, translated


def server(connection_string: str) -> str:
    """Name and version of a server. Raises ServerUnreachable, Transient or Fatal."""
    with translated(redact(connection_string)):
        client: MongoClient[dict[str, Any]] = MongoClient(connection_string, serverSelectionTimeoutMS=10_000)
        with client:
            return f"{SERVER} {client.server_info()['version']}"
