"""Change events as bytes: routing without decoding them (the tailer's hot path), and decoding (the worker's).

Format: MongoDB manual, "Change Events"; BSON layout: bsonspec.org. A resume token's `_data` is a hexadecimal KeyString
that sorts bytewise in stream order and begins with the cluster time.
"""

from __future__ import annotations

from datetime import datetime
from struct import Struct
from typing import Any, NamedTuple

import bson
from bson import DatetimeMS, Decimal128, Int64, ObjectId

from warp.change import TS_COUNTER_BITS, Change, Operation, cluster_time
from warp.layouts import Form
from warp.sources.mongodb.bson_types import fields
from warp.sources.mongodb.codec import key_of, record_of
from warp.sources.mongodb.decoding import (
    FIXED_SIZES,
    INT32_SIZED,
    MALFORMED,
    OPTIONS,
    are_whole,
    decode,
    decode_all,
    starts_of,
)
from warp.sources.mongodb.extended_json import WRAPPER_NAME, canonical_bytes
from warp.values import milliseconds

_OPERATIONS = {operation.value: operation for operation in Operation}
DOCUMENT_OPERATIONS = frozenset(_OPERATIONS)

_INT32 = Struct("<i").unpack_from
_TIMESTAMP = Struct("<II").unpack_from


class Event(NamedTuple):
    """What routing needs of a change event."""

    position: str
    operation: str
    ts: int
    collection: str
    document_key: bytes


def route(raw: bytes) -> Event:
    """Read the routing fields of one change event; the document itself is skipped over, not decoded."""
    return _route_usual(raw) or _route_any(raw)


_TOKEN = b"\x03_id\0"
_TOKEN_DATA = b"\x02_data\0"
_OPERATION = b"\x02operationType\0"
_CLUSTER_TIME = b"\x11clusterTime\0"
_WALL_TIME = b"\x09wallTime\0"
_DOCUMENT = b"\x03fullDocument\0"
_NAMESPACE = b"\x03ns\0"
_DOCUMENT_KEY = b"\x03documentKey\0"


def _route_usual(raw: bytes) -> Event | None:
    """`route` for the fields that a server sends for a document outside of a transaction, in its order; else None."""
    if not (raw.startswith(_TOKEN, 4) and raw.startswith(_TOKEN_DATA, 13)):
        return None
    at = 24 + _INT32(raw, 20)[0]
    position = raw[24 : at - 1].decode()
    at += 1
    if not raw.startswith(_OPERATION, at):
        return None
    end = at + 19 + _INT32(raw, at + 15)[0]
    operation = raw[at + 19 : end - 1].decode()
    if not raw.startswith(_CLUSTER_TIME, end):
        return None
    counter, seconds = _TIMESTAMP(raw, end + 13)
    at = end + 21
    if raw.startswith(_WALL_TIME, at):
        at += 18
    if raw.startswith(_DOCUMENT, at):
        at += 14 + _INT32(raw, at + 14)[0]
    if not raw.startswith(_NAMESPACE, at):
        return None
    end = at + 4 + _INT32(raw, at + 4)[0]
    collection = _collection(raw[at + 4 : end])
    if not raw.startswith(_DOCUMENT_KEY, end):
        return None
    at = end + 13
    document_key = raw[at : at + _INT32(raw, at)[0]]
    return Event(position, operation, seconds << TS_COUNTER_BITS | counter, collection, document_key)


def _route_any(raw: bytes) -> Event:
    """`route` for any fields in any order."""
    at = 4
    end = len(raw) - 1
    position = operation = collection = ""
    document_key = b""
    ts = 0
    while at < end:
        kind = raw[at]
        stop = raw.index(0, at + 1)
        name = raw[at + 1 : stop]
        at = stop + 1
        size = FIXED_SIZES.get(kind)
        if size is None:
            size = _INT32(raw, at)[0] + INT32_SIZED[kind]
        if name == b"_id":
            position = resume_token(raw[at : at + size])
        elif name == b"operationType":
            operation = raw[at + 4 : at + size - 1].decode()
        elif name == b"clusterTime":
            counter, seconds = _TIMESTAMP(raw, at)
            ts = cluster_time(seconds, counter)
        elif name == b"ns":
            collection = _collection(raw[at : at + size])
        elif name == b"documentKey":
            document_key = raw[at : at + size]
            break
        at += size
    return Event(position, operation, ts, collection, document_key)


def resume_token(token: bytes) -> str:
    """The position in the BSON of a resume token, `{_data: <text>, …}`."""
    if token[4:11] == b"\x02_data\0":
        return token[15 : 15 + _INT32(token, 11)[0] - 1].decode()
    return str(bson.decode(token)["_data"])


def token_of(position: str) -> dict[str, str]:
    """The resume token that a position came from."""
    return {"_data": position}


def ts_of(position: str) -> int:
    """The cluster time at the head of a position: a KeyString timestamp is 0x82, then seconds and counter.

    Source: mongo/src/mongo/db/storage/key_string, `CType::kTimestamp`.
    """
    if position[:2] != "82":
        raise ValueError("not a resume token that begins with a timestamp")
    return cluster_time(int(position[2:10], 16), int(position[10:18], 16))


_collections: dict[bytes, str] = {}


def _collection(namespace: bytes) -> str:
    """The `coll` of a `ns` document. Remembered by its bytes: a stream repeats few of them very often."""
    name = _collections.get(namespace)
    if name is None:
        if len(_collections) > 10_000:
            _collections.clear()
        name = _collections[namespace] = bson.decode(namespace, OPTIONS).get("coll", "")
    return name


def decode_events(payload: bytes, only: Form | None = None) -> list[Change]:
    """Decode change events of documents, joined; their records are of the form of their table."""
    suspicious = WRAPPER_NAME.search(payload) is not None
    try:
        events = _usual_events(payload)
    except MALFORMED:
        events = None
    return [_change(event, only, suspicious) for event in events or decode_all(payload)]


_EXACT_KEYS = frozenset({ObjectId, str, int, Int64, float, bool, Decimal128, datetime, DatetimeMS})
"""Classes of keys that pymongo decodes as what they are, or as a key that MongoDB holds equal (a symbol)."""


def _usual_events(payload: bytes) -> list[dict[str, Any]] | None:
    """`decode_all` at half the cost, where no document has lost anything, or else None: only the documents are checked,
    and unusual keys decoded again."""
    events: list[dict[str, Any]] = bson.decode_all(payload, OPTIONS)
    documents = []
    starts = []
    for event, at in zip(events, starts_of(payload), strict=True):
        document = event.get("fullDocument")
        if document is not None:
            documents.append(document)
            starts.append(_document_start(payload, at))
        if event["documentKey"]["_id"].__class__ not in _EXACT_KEYS:
            raw = payload[at : at + _INT32(payload, at)[0]]
            event["documentKey"] = decode(route(raw).document_key)
    return events if all(are_whole(documents, payload, starts)) else None


def _document_start(payload: bytes, start: int) -> int:
    """Where the document of the event that begins there begins, if its fields have the usual order."""
    if not (payload.startswith(_TOKEN, start + 4) and payload.startswith(_TOKEN_DATA, start + 13)):
        return start
    at = start + 25 + _INT32(payload, start + 20)[0]
    if not payload.startswith(_OPERATION, at):
        return start
    at += 40 + _INT32(payload, at + 15)[0]  # also past the cluster time
    if payload.startswith(_WALL_TIME, at):
        at += 18
    return at + 14 if payload.startswith(_DOCUMENT, at) else start


def extract(payload: bytes, position: str) -> bytes:
    """The bytes of the event at that position. Raises KeyError where there is none."""
    at = 0
    while at < len(payload):
        size = _INT32(payload, at)[0]
        raw = payload[at : at + size]
        if route(raw).position == position:
            return raw
        at += size
    raise KeyError(position)


def describe(raw: bytes) -> str:
    """One change event whole, as canonical Extended JSON."""
    return canonical_bytes(decode(raw)).decode()


def _change(event: dict[str, Any], only: Form | None, suspicious: bool) -> Change:
    stamp = event["clusterTime"]
    document = event.get("fullDocument")
    committed = event.get("wallTime")
    return Change(
        event["_id"]["_data"],
        cluster_time(stamp.time, stamp.inc),
        _OPERATIONS[event["operationType"]],
        key_of(event["documentKey"]["_id"]),
        None if document is None else record_of(fields(document), only, suspicious=suspicious),
        _wall_time(committed),
    )


def _wall_time(committed: datetime | DatetimeMS | None) -> int:
    return milliseconds(committed) if isinstance(committed, datetime) else 0
