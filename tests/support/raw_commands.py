"""Commands to MongoDB with names that are not UTF-8, which pymongo does not send: OP_MSG over a socket.

Format: MongoDB manual, "MongoDB Wire Protocol".
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from pymongo.database import Database

from warp.sources.mongodb.decoding import decode
from warp.sources.mongodb.encoding import encode

_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")


def run(database: Database[dict[str, Any]], command: dict[str, Any], *, on: str | None = None) -> dict[str, Any]:
    """Run a command on a database, or on another one of its server; lone surrogates stand for bytes."""
    address = database.client.address
    assert address is not None
    body = b"\0\0\0\0\0" + encode({**command, "$db": on or database.name})
    with socket.create_connection(address, timeout=30) as connection, connection.makefile("rb") as replies:
        connection.sendall(_HEADER.pack(_HEADER.size + len(body), 1, 0, _OP_MSG) + body)
        size, *_ = _HEADER.unpack(replies.read(_HEADER.size))
        reply = decode(replies.read(size - _HEADER.size)[5:])
    assert reply["ok"], reply
    return reply


def rename(database: Database[dict[str, Any]], before: str, after: str) -> None:
    """Rename a collection, over another one if there is one."""
    command = {"renameCollection": f"{database.name}.{before}", "to": f"{database.name}.{after}", "dropTarget": True}
    run(database, command, on="admin")
