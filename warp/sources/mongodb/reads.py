"""Reading documents: by key, by range of keys, and the ranges themselves.

Ranges are index bounds (`min()`/`max()` on the `_id` index): unlike `$gt` they cross BSON types, so that two ranges
that touch leave nothing out. Every read is majority, and causally after a cluster time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bson
from bson import Timestamp
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from warp.change import TS_COUNTER_BITS, Key, Record
from warp.sources.base import Chunk, Piece
from warp.sources.mongodb.codec import OPTIONS, key_value, split_document
from warp.sources.mongodb.extended_json import WRAPPER_NAME

_Collection = Collection[dict[str, Any]]
LOOKUP = 1000
"""Keys in one `$in`; measured best at 1,000 (docs/decisions.md)."""


@contextmanager
def session(client: MongoClient[dict[str, Any]], after: int) -> Iterator[ClientSession]:
    """A session whose reads see everything up to the cluster time `after`."""
    with client.start_session(causal_consistency=True) as started:
        started.advance_operation_time(Timestamp(after >> TS_COUNTER_BITS, after & (1 << TS_COUNTER_BITS) - 1))
        yield started


def _majority(collection: _Collection) -> _Collection:
    return collection.with_options(codec_options=OPTIONS, read_concern=ReadConcern("majority"))


def _batches(batches: Iterable[bytes]) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """Raw batches decoded, each with whether it holds names that Extended JSON has a meaning for."""
    for raw in batches:
        if raw:
            yield bson.decode_all(raw, OPTIONS), WRAPPER_NAME.search(raw) is not None


def _by_key(collection: _Collection, keys: Sequence[Key], in_session: ClientSession) -> Iterator[bytes]:
    for start in range(0, len(keys), LOOKUP):
        wanted = [key_value(key) for key in keys[start : start + LOOKUP]]
        yield from _majority(collection).find_raw_batches({"_id": {"$in": wanted}}, session=in_session)


def find(collection: _Collection, keys: Sequence[Key], in_session: ClientSession) -> Iterator[dict[str, Any]]:
    """The documents of those keys."""
    for documents, _ in _batches(_by_key(collection, keys, in_session)):
        yield from documents


def records(collection: _Collection, keys: Sequence[Key], in_session: ClientSession) -> Iterator[tuple[Key, Record]]:
    """The documents of those keys, as keys and records."""
    for documents, suspicious in _batches(_by_key(collection, keys, in_session)):
        for document in documents:
            yield split_document(document, suspicious=suspicious)


def _range(collection: _Collection, chunk: Chunk, in_session: ClientSession, batch: int) -> Iterator[bytes]:
    cursor = _majority(collection).find_raw_batches({}, session=in_session, batch_size=batch).hint([("_id", 1)])
    if chunk.lower is not None:
        cursor = cursor.min(_bound(chunk.lower))
    if chunk.upper is not None:
        cursor = cursor.max(_bound(chunk.upper))
    return iter(cursor.sort("_id", 1))


def _encoded(key: Any) -> bytes:
    return bson.encode({"_id": key}, codec_options=OPTIONS)


def _bound(encoded: bytes) -> list[tuple[str, Any]]:
    return [("_id", bson.decode(encoded, OPTIONS)["_id"])]


BATCH = 5_000
"""Documents in one list; the server ends a batch at 16 MB before that."""


def documents(collection: _Collection, chunk: Chunk, in_session: ClientSession) -> Iterator[list[dict[str, Any]]]:
    """All documents of a range."""
    for found, _ in _batches(_range(collection, chunk, in_session, BATCH)):
        yield found


def read(collection: _Collection, chunk: Chunk, in_session: ClientSession) -> Iterator[Piece]:
    """All documents of a range, as keys and records. The last document's key is where the rest begins."""
    for found, suspicious in _batches(_range(collection, chunk, in_session, BATCH)):
        rest = _encoded(found[-1]["_id"])
        yield Piece(documents=[split_document(document, suspicious=suspicious) for document in found], rest=rest)


def split(collection: _Collection, size: int) -> Iterator[Chunk]:
    """Ranges of about `size` documents each, by walking the `_id` index; the outer bounds are open."""
    lower: bytes | None = None
    while True:
        cursor = collection.with_options(codec_options=OPTIONS).find({}, {"_id": 1}).hint([("_id", 1)]).sort("_id", 1)
        if lower is not None:
            cursor = cursor.min(_bound(lower))
        following = next(iter(cursor.skip(size).limit(1)), None)
        upper = None if following is None else _encoded(following["_id"])
        yield Chunk(lower=lower, upper=upper)
        if upper is None:
            return
        lower = upper
