"""The documents of the in-memory source: their keys, records, bytes and comparison."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from warp.change import Change, Key, KeyKind, Operation, Record
from warp.layouts import Form
from warp.sources.base import Chunk, Document, StoredJson, StoredRow
from warp.values import Structured, Value, exact_double

_LENGTH_BYTES = 4


class JsonStructured(Structured):
    """An object or array, which JSON holds exactly."""

    __slots__ = ()

    def exact(self) -> bytes:
        return self.text.encode()


def key_of(identity: Any) -> Key:
    """The key that an `_id` is: a string, or a number, of which equal ones are one key."""
    if isinstance(identity, str):
        return Key(KeyKind.STRING, identity)
    if float(identity).is_integer():
        return Key(KeyKind.INT, str(int(identity)))
    return Key(KeyKind.JSON, orjson.dumps(exact_double(identity)).decode())


def key_hash(key: Key) -> int:
    """The same number for every change of one document."""
    return zlib.crc32(f"{key.kind}:{key.text}".encode())


class JsonTree:
    """See `warp.filters.Tree` for the contract of each method."""

    def pairs(self, value: Any) -> Collection[tuple[str, Any]] | None:
        return value.items() if isinstance(value, dict) else None

    def object_of(self, pairs: Iterable[tuple[str, Any]]) -> Any:
        return dict(pairs)

    def items(self, value: Any) -> Sequence[Any] | None:
        return value if isinstance(value, list) else None

    def with_items(self, value: Any, items: Sequence[Any]) -> Any:
        return list(items)

    def exact(self, value: Any) -> bytes:
        return value.encode() if isinstance(value, str) else orjson.dumps(value)


JSON = JsonTree()


def record_of(document: Mapping[str, Any], only: Form | None = None) -> Record:
    """The fields of a document except its key, in the form of their table."""
    if only is not None:
        document = only.apply(document, JSON)
    return {name: _value(value) for name, value in document.items() if name != "_id"}


def _value(value: Any) -> Value:
    return JsonStructured(orjson.dumps(value).decode()) if isinstance(value, dict | list) else value


def bound(key: Key) -> bytes:
    """A key as the bound of a range."""
    return orjson.dumps([key.kind, key.text])


def in_range(held: Mapping[Key, dict[str, Any]], chunk: Chunk) -> list[tuple[Key, dict[str, Any]]]:
    """The documents of a range, in order of key: numbers, then strings."""
    lower = None if chunk.lower is None else _rank(_key(chunk.lower))
    upper = None if chunk.upper is None else _rank(_key(chunk.upper))
    ranked = sorted((_rank(key), key) for key in held)
    return [
        (key, held[key]) for rank, key in ranked if (lower is None or lower <= rank) and (upper is None or rank < upper)
    ]


def pieces(held: Mapping[Key, dict[str, Any]], chunk: Chunk, size: int) -> list[list[tuple[Key, dict[str, Any]]]]:
    """The documents of a range, in order of key, so many at once at most."""
    found = in_range(held, chunk)
    return [found[start : start + size] for start in range(0, len(found), size)]


def _key(encoded: bytes) -> Key:
    kind, text = orjson.loads(encoded)
    return Key(KeyKind(kind), text)


def _rank(key: Key) -> tuple[int, float, str]:
    match key.kind:
        case KeyKind.STRING:
            return 1, 0.0, key.text
        case KeyKind.INT:
            return 0, float(key.text), key.text
        case _:
            return 0, float(orjson.loads(key.text)["$numberDouble"]), key.text


def encode(
    position: str, ts: int, operation: Operation, key: Key, document: Mapping[str, Any] | None, committed_ms: int
) -> bytes:
    """A change as bytes: its length and JSON, so that joined changes can be taken apart."""
    body = orjson.dumps([position, ts, operation, key.kind, key.text, document, committed_ms])
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def decode(payload: bytes, only: Form | None = None) -> list[Change]:
    """The changes that were encoded, joined; their records are of the form of their table."""
    return [_change(orjson.loads(raw[_LENGTH_BYTES:]), only) for raw in _split(payload)]


def _change(fields: list[Any], only: Form | None) -> Change:
    position, ts, operation, kind, text, document, committed_ms = fields
    record = None if document is None else record_of(document, only)
    return Change(position, ts, Operation(operation), Key(KeyKind(kind), text), record, committed_ms)


def extract(payload: bytes, position: str) -> bytes:
    """The bytes of the change at that position. Raises KeyError where there is none."""
    for raw in _split(payload):
        if orjson.loads(raw[_LENGTH_BYTES:])[0] == position:
            return raw
    raise KeyError(position)


def describe(payload: bytes) -> str:
    """What one change says, as JSON."""
    position, ts, operation, _, text, document, _ = orjson.loads(payload[_LENGTH_BYTES:])
    said = {"position": position, "ts": ts, "operation": operation, "key": text, "document": document}
    return orjson.dumps(said).decode()


def _split(payload: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(payload):
        end = at + _LENGTH_BYTES + int.from_bytes(payload[at : at + _LENGTH_BYTES], "big")
        yield payload[at:end]
        at = end


def differences(document: Document, row: StoredRow, only: Form | None = None) -> tuple[str, ...]:
    """The names of the fields in which a row is not its document."""
    assert isinstance(document, dict)
    if only is not None:
        document = only.apply(document, JSON)
    names = [
        name
        for name, value in document.items()
        if name != "_id" and not (name in row and _same(value, _plain(row[name])))
    ]
    return (*names, *(name for name in row if name not in document))


def _plain(stored: Value | StoredJson) -> Any:
    return _unwrapped(orjson.loads(stored.text)) if isinstance(stored, StoredJson) else stored


def _unwrapped(value: Any) -> Any:
    match value:
        case {"$numberLong": str(digits), **rest} if not rest:
            return int(digits)
        case {"$numberDouble": str(digits), **rest} if not rest:
            return float(digits)
        case _:
            return value


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
