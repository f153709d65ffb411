"""Reading documents as of one cluster time: by key, by range of keys, and the ranges themselves.

Every read is a snapshot read (MongoDB manual, "Read Concern snapshot": 5.0 or newer), so that what it returns is the
state at exactly the time that it says: a row that is written with that time is neither older nor newer than it.
Ranges are index bounds (`min` and `max` on the `_id` index): unlike `$gt` they cross BSON types, so that two ranges
that touch leave nothing out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from bson import CodecOptions, MaxKey, Timestamp
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from warp.change import TS_COUNTER_BITS, Key, Record, cluster_time
from warp.layouts import Form
from warp.sources.base import AsOf, Chunk, Inspected, Piece
from warp.sources.mongodb import bson_types
from warp.sources.mongodb.bson_types import Pairs, RegularExpression, Undefined
from warp.sources.mongodb.codec import key_value, split_document
from warp.sources.mongodb.decoding import decode_all, starts_of
from warp.sources.mongodb.encoding import encode
from warp.sources.mongodb.extended_json import WRAPPER_NAME

LOOKUP = 1000
"""Keys in one `$in`; measured best at 1,000 (docs/decisions.md)."""
BATCH = 5_000
"""Documents in one list; the server ends a batch at 16 MB before that."""

PART = 1024 * 1024
"""Bytes that a lookup decodes at a time."""

_RAW = CodecOptions(document_class=RawBSONDocument)
_ID_INDEX = {"_id": 1}
_LAST = encode({"_id": MaxKey()})
"""The greatest key there is. No range begins or ends with it, because MongoDB takes it for the end of the index."""


class Snapshot:
    """One database as of one cluster time, which the first read fixes."""

    def __init__(self, database: Database[dict[str, Any]], session: ClientSession, after: int) -> None:
        self._database = database
        self._session = session
        self._after = _timestamp(after)
        self._concern: dict[str, Any] = {"level": "snapshot", "afterClusterTime": self._after}
        self.ts = after
        """The cluster time of everything read; right from the first batch on."""

    def find(self, collection: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """The documents that a `find` command's fields choose, as BSON, joined, in batches that are not empty."""
        cursor = self._opened({"find": collection, **query, "batchSize": BATCH})
        batch = cursor["firstBatch"]
        try:
            while True:
                if batch:
                    yield b"".join(document.raw for document in batch)
                if not cursor["id"]:
                    return
                cursor = self._cursor({"getMore": cursor["id"], "collection": collection, "batchSize": BATCH})
                batch = cursor["nextBatch"]
        finally:
            if cursor["id"]:
                self._cursor_killed(collection, cursor["id"])

    def _opened(self, command: dict[str, Any]) -> Any:
        try:
            cursor = self._cursor({**command, "readConcern": self._concern})
        except OperationFailure as error:
            if "capped" not in str(error):
                raise
            # Capped collections have no snapshot reads. A state from after `ts` may be read then: the stream mends it.
            return self._cursor({**command, "readConcern": {"level": "majority", "afterClusterTime": self._after}})
        at: Timestamp | None = cursor.get("atClusterTime")
        if at is not None:  # a collection that does not exist has none
            self._concern = {"level": "snapshot", "atClusterTime": at}
            self.ts = cluster_time(at.time, at.inc)
        return cursor

    def _cursor(self, command: dict[str, Any]) -> Any:
        return self._database.command(command, session=self._session, codec_options=_RAW)["cursor"]

    def _cursor_killed(self, collection: str, cursor: int) -> None:
        self._database.command({"killCursors": collection, "cursors": [cursor]}, session=self._session)


@contextmanager
def snapshot(client: MongoClient[dict[str, Any]], database: str, after: int) -> Iterator[Snapshot]:
    """A snapshot that sees everything up to the cluster time `after`, and perhaps more."""
    with client.start_session(causal_consistency=False) as session:
        yield Snapshot(client[database], session, after)


def by_key(taken: Snapshot, collection: str, keys: Sequence[Key]) -> Iterator[dict[str, Any]]:
    """The documents of those keys."""
    for raw in _by_key(taken, collection, keys):
        yield from decode_all(raw)


def as_of(
    taken: Snapshot,
    collection: str,
    keys: Sequence[Key],
    fields: Form | None = None,
    decoding: Callable[[int], object] = lambda _: None,
) -> Iterator[AsOf]:
    """The documents of those keys, as keys and records; `decoding` is told of each part's size before."""
    for raw in _by_key(taken, collection, keys):
        found: list[tuple[Key, Record]] = []
        for part in _parts(raw):
            decoding(len(part))
            found += _split(part, fields)
        yield AsOf(taken.ts, found)


def documents(taken: Snapshot, collection: str, chunk: Chunk) -> Iterator[list[dict[str, Any]]]:
    """All documents of a range, in order of key."""
    for raw in _in_range(taken, collection, chunk):
        yield decode_all(raw)


def pieces(taken: Snapshot, collection: str, chunk: Chunk, fields: Form | None = None) -> Iterator[Piece]:
    """All documents of a range, as keys and records. The last document's key is where the rest begins."""
    for raw in _in_range(taken, collection, chunk):
        found = _split(raw, fields)
        yield Piece(documents=found, first=_bound(found[0][0]), rest=_bound(found[-1][0]), ts=taken.ts)


def _bound(key: Key) -> bytes:
    return encode({"_id": key_value(key)})


def inspected(taken: Snapshot, collection: str, chunk: Chunk, fields: Form | None = None) -> Iterator[list[Inspected]]:
    """All documents of a range, in order of key, with their sizes."""
    for raw in _in_range(taken, collection, chunk):
        yield _measured(raw, fields)


def sample(
    collection: Collection[dict[str, Any]], number: int, fields: Form | None = None
) -> Iterator[list[Inspected]]:
    """So many documents chosen at random, with their sizes. The server may choose one twice: it is left out then."""
    met: set[Key] = set()
    majority = collection.with_options(read_concern=ReadConcern("majority"))
    pipeline = [{"$sample": {"size": number}}]
    batches: Iterator[Any] = majority.aggregate_raw_batches(pipeline, batchSize=BATCH, allowDiskUse=True)
    for raw in batches:
        fresh = [each for each in _measured(raw, fields) if each.key not in met]
        met.update(each.key for each in fresh)
        if fresh:
            yield fresh


def split(collection: Collection[dict[str, Any]], size: int) -> Iterator[Chunk]:
    """Ranges of about `size` documents each, by walking the `_id` index; the outer bounds are open."""
    lower: bytes | None = None
    only = {"projection": {"_id": 1}, "skip": size, "limit": 1, "singleBatch": True}
    while True:
        command = {"find": collection.name, **_range(Chunk(lower=lower, upper=None)), **only}
        following = collection.database.command(command, codec_options=_RAW)["cursor"]["firstBatch"]
        upper: bytes | None = following[0].raw if following and following[0].raw != _LAST else None
        yield Chunk(lower=lower, upper=upper)
        if upper is None:
            return
        lower = upper


def _by_key(taken: Snapshot, collection: str, keys: Sequence[Key]) -> Iterator[bytes]:
    for start in range(0, len(keys), LOOKUP):
        wanted = [value for key in keys[start : start + LOOKUP] for value in _values(key)]
        yield from taken.find(collection, {"filter": RawBSONDocument(encode({"_id": {"$in": wanted}}))})


def _values(key: Key) -> list[Any]:
    """The key's value; nothing for one that no document can have (somebody wrote it into the target by hand)."""
    try:
        value = key_value(key)
    except (ValueError, BSONError):
        return []
    return [value] if _possible(value) else []


def _possible(value: Any) -> bool:
    """Whether MongoDB takes it as an `_id`; what it does not take, `$in` may refuse, or mean something else by."""
    match value:
        case list() | RegularExpression() | Undefined():
            return False
        case dict() | Pairs():
            names = list(bson_types.fields(value))
            return not (names and names[0].startswith("$")) or names[:2] == ["$ref", "$id"]
        case _:
            return True


def _in_range(taken: Snapshot, collection: str, chunk: Chunk) -> Iterator[bytes]:
    if chunk.lower != _LAST:
        yield from taken.find(collection, _range(chunk))
    if chunk.upper is None and chunk.lower is not None:
        # An open end of index bounds is MaxKey, which is exclusive; and it can be a key.
        yield from taken.find(collection, {"filter": {"_id": MaxKey()}})


def _range(chunk: Chunk) -> dict[str, Any]:
    query: dict[str, Any] = {"hint": _ID_INDEX, "sort": _ID_INDEX}
    if chunk.lower is not None:
        query["min"] = RawBSONDocument(chunk.lower)
    if chunk.upper is not None:
        query["max"] = RawBSONDocument(chunk.upper)
    return query


def _parts(raw: bytes) -> Iterator[bytes]:
    """The documents, in parts of about PART bytes or of one document."""
    begin = 0
    for start in starts_of(raw) if len(raw) > PART else ():
        if start - begin > PART:
            yield raw[begin:start]
            begin = start
    yield raw[begin:]


def _split(raw: bytes, fields: Form | None) -> list[tuple[Key, Record]]:
    suspicious = WRAPPER_NAME.search(raw) is not None
    return [split_document(document, fields, suspicious=suspicious) for document in decode_all(raw)]


def _measured(raw: bytes, fields: Form | None) -> list[Inspected]:
    starts = [*starts_of(raw), len(raw)]
    sizes = (after - start for start, after in pairwise(starts))
    return [Inspected(key, record, size) for (key, record), size in zip(_split(raw, fields), sizes, strict=True)]


def _timestamp(ts: int) -> Timestamp:
    return Timestamp(ts >> TS_COUNTER_BITS, ts & (1 << TS_COUNTER_BITS) - 1)
