"""Change events as bytes: routing without decoding them (the tailer's hot path), and decoding (the worker's).

Format: MongoDB manual, "Change Events"; BSON layout: bsonspec.org. A resume token's `_data` is a hexadecimal KeyString
that sorts bytewise in stream order and begins with the cluster time.
"""

from __future__ import annotations

from datetime import datetime
from struct import Struct
from typing import Any, NamedTuple

import bson
from bson import DatetimeMS

from warp.change import TS_COUNTER_BITS, Change, Operation, cluster_time
from warp.sources.mongodb.codec import OPTIONS, key_of, record_of
from warp.sources.mongodb.extended_json import WRAPPER_NAME, canonical_bytes
from warp.values import milliseconds

_OPERATIONS = {operation.value: operation for operation in Operation}
DOCUMENT_OPERATIONS = frozenset(_OPERATIONS)

_INT32 = Struct("<i").unpack_from
_TIMESTAMP = Struct("<II").unpack_from

_FIXED_SIZES = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
"""Bytes of the values whose BSON type fixes them."""
_INT32_SIZED = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0D: 4}
"""Bytes to add to the int32 at the start of a value that says its own size."""


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
        size = _FIXED_SIZES.get(kind)
        if size is None:
            size = _INT32(raw, at)[0] + _INT32_SIZED[kind]
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
        name = _collections[namespace] = bson.decode(namespace).get("coll", "")
    return name


def decode_events(payload: bytes) -> list[Change]:
    """Decode change events of documents, joined."""
    suspicious = WRAPPER_NAME.search(payload) is not None
    return [_change(event, suspicious) for event in bson.decode_all(payload, OPTIONS)]


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
    return canonical_bytes(bson.decode(raw, OPTIONS)).decode()


def _change(event: dict[str, Any], suspicious: bool) -> Change:
    stamp = event["clusterTime"]
    document = event.get("fullDocument")
    committed = event.get("wallTime")
    return Change(
        event["_id"]["_data"],
        cluster_time(stamp.time, stamp.inc),
        _OPERATIONS[event["operationType"]],
        key_of(event["documentKey"]["_id"]),
        None if document is None else record_of(document, suspicious=suspicious),
        _wall_time(committed),
    )


def _wall_time(committed: datetime | DatetimeMS | None) -> int:
    return milliseconds(committed) if isinstance(committed, datetime) else 0
