"""BSON bytes written to MongoDB, and read from it, as they are: no driver in between bends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

_RAW = CodecOptions(document_class=RawBSONDocument, unicode_decode_error_handler="replace")


def insert(database: Database[dict[str, Any]], collection: str, documents: Sequence[bytes]) -> dict[int, int]:
    """Insert all documents that the server takes; of the others, by their number, the error's code."""
    command = {"insert": collection, "documents": [RawBSONDocument(raw) for raw in documents], "ordered": False}
    # Its errors name the keys that are there already, which pymongo may not be able to decode.
    reply = database.command(command, codec_options=_RAW)
    return {error["index"]: error["code"] for error in reply.get("writeErrors", ())}


def find(database: Database[dict[str, Any]], collection: str, query: bytes) -> list[bytes]:
    """The documents that a filter chooses."""
    command = {"find": collection, "filter": RawBSONDocument(query), "batchSize": 10_000}
    reply = database.command(command, codec_options=_RAW)
    return [document.raw for document in reply["cursor"]["firstBatch"]]


def replace(database: Database[dict[str, Any]], collection: str, document: bytes) -> int:
    """Replace the document that has an equal key; how many were."""
    raw = RawBSONDocument(document)
    key = next(iter(raw.items()))[1]
    command = {"update": collection, "updates": [{"q": {"_id": key}, "u": raw}]}
    reply = database.command(command, codec_options=_RAW)
    return int(reply["n"])
