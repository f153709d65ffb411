"""Keys against a real MongoDB, which decides what can be an `_id`, and which of them are equal."""

from __future__ import annotations

import struct
from collections import Counter
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.database import Database

from tests.support import raw_documents
from tests.support.lookups import found as looked_up
from tests.support.properties import with_servers
from tests.unit import raw_bson
from tests.unit.raw_bson import document, string
from warp.change import Key, KeyKind
from warp.sources.base import Chunk
from warp.sources.mongodb.codec import hash_of, key_hash, key_of
from warp.sources.mongodb.decoding import decode
from warp.sources.mongodb.source import MongoSource

DUPLICATE = 11000
OID = bytes(range(12))
EVERYTHING = Chunk(lower=None, upper=None)
_collections = (f"keys{number}" for number in count())

Raw = tuple[int, bytes]


def _object(*elements: tuple[bytes, Raw]) -> Raw:
    return 0x03, document(list(elements))


def _scoped(*elements: tuple[bytes, Raw]) -> Raw:
    code = string(b"f") + document(list(elements))
    return 0x0F, struct.pack("<i", len(code) + 4) + code


_NUMBERS: list[Raw] = [
    (0x10, struct.pack("<i", 8)),
    (0x12, struct.pack("<q", 8)),
    (0x01, struct.pack("<d", 8.0)),
    (0x13, (6176 << 113 | 8).to_bytes(16, "little")),
    (0x13, (6175 << 113 | 80).to_bytes(16, "little")),
]
_TEXTS: list[Raw] = [(0x02, string(b"a")), (0x0E, string(b"a"))]
_ZEROS: list[Raw] = [
    (0x10, bytes(4)),
    (0x01, struct.pack("<d", -0.0)),
    (0x13, (1 << 127 | 6176 << 113).to_bytes(16, "little")),
    (0x13, (6176 << 113 | 10**34 + 5).to_bytes(16, "little")),  # more digits than the standard has: zero
    (0x13, bytes(15) + b"\x60"),
]
_NANS: list[Raw] = [
    (0x01, struct.pack("<d", float("nan"))),
    (0x01, b"\1\0\0\0\0\0\xf8\xff"),
    (0x13, bytes(15) + b"\x7c"),
    (0x13, bytes(15) + b"\xfe"),
]
_REFERENCE = (b"$ref", (0x02, string(b"c")))

EQUAL: dict[str, list[Raw]] = {
    "numbers": _NUMBERS,
    "zeros": _ZEROS,
    "nans": _NANS,
    "strings": _TEXTS,
    "objects of numbers": [_object((b"a", number)) for number in _NUMBERS],
    "objects of strings": [_object((b"a", text)) for text in _TEXTS],
    "repeated names": [_object((b"a", number), (b"a", text)) for number in _NUMBERS for text in _TEXTS],
    "scopes": [_scoped((b"a", number)) for number in _NUMBERS],
    "scopes of repeated names": [_scoped((b"a", number), (b"a", number)) for number in _NUMBERS],
    "references": [_object(_REFERENCE, (b"$id", number)) for number in _NUMBERS],
    "arrays, whatever their names": [
        _object((b"l", (0x04, document([(name, number)])))) for name in (b"0", b"7") for number in _NUMBERS
    ],
}
"""What MongoDB holds equal as an `_id`."""

APART: list[Raw] = [
    (0x02, string(b"a")),
    (0x0D, string(b"a")),
    _scoped(),
    _scoped((b"a", (0x0A, b""))),
    _scoped((b"a", (0x0A, b"")), (b"a", (0x0A, b""))),
    (0x02, string(b"8")),
    (0x10, struct.pack("<i", 8)),
    (0x02, string(b"\xff")),
    (0x02, string(b"\xfe")),
    (0x02, string(b"\xef\xbf\xbd")),
    (0x02, string(b"a\0b")),
    (0x0D, string(b"\xff")),
    _object(),
    _object((b"a", (0x06, b""))),
    _object((b"a", (0x0A, b""))),
    _object((b"a", (0x0A, b"")), (b"b", (0x0A, b""))),
    _object((b"b", (0x0A, b"")), (b"a", (0x0A, b""))),
    _object((b"a", (0x0A, b"")), (b"a", (0x0A, b""))),
    _object((b"\xff", (0x0A, b""))),
    _object((b"a", (0x0B, b"x\0im\0"))),
    _object((b"a", (0x0B, b"x\0mi\0"))),
    _object((b"a", (0x0C, string(b"c") + OID))),
    _object((b"a", _object(_REFERENCE, (b"$id", (0x07, OID))))),
    _object(_REFERENCE, (b"$id", (0x0A, b"")), (b"$db", (0x02, string(b"d")))),
    (0x0C, string(b"c") + OID),
    (0x0C, string(b"\xff") + OID),
    (0x07, OID),
    (0x02, string(OID.hex().encode())),
    *[(0x05, struct.pack("<i", 2) + bytes([subtype]) + b"ab") for subtype in (0, 1, 2, 3, 5, 6, 128)],
    (0x05, struct.pack("<i", 6) + b"\2" + struct.pack("<i", 2) + b"ab"),
    (0x05, struct.pack("<i", 6) + b"\0" + struct.pack("<i", 2) + b"ab"),
    *[(0x05, struct.pack("<i", 16) + bytes([subtype]) + bytes(16)) for subtype in (0, 3, 4)],
    *[(0x05, struct.pack("<i", length) + b"\4" + bytes(length)) for length in (0, 15, 17)],
    (0x02, string(b"00000000-0000-0000-0000-000000000000")),
    (0x09, struct.pack("<q", 8)),
    (0x09, struct.pack("<q", 2**63 - 1)),
    (0x11, struct.pack("<q", 8)),
    (0x11, bytes(8)),
    (0x08, b"\0"),
    (0x08, b"\1"),
    (0x0A, b""),
    (0x7F, b""),
    (0xFF, b""),
]
"""What MongoDB holds apart as an `_id`."""


def _document(value: Raw) -> bytes:
    return document([(b"_id", value)])


def _key(value: Raw) -> Key:
    return key_of(decode(_document(value))["_id"])


@pytest.mark.parametrize("name", EQUAL)
def test_what_mongodb_refuses_as_a_duplicate_is_one_key(
    name: str, source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    values = EQUAL[name]
    refused = raw_documents.insert(database, "equal", [_document(value) for value in values])
    assert refused == dict.fromkeys(range(1, len(values)), DUPLICATE)
    [key] = {_key(value) for value in values}
    assert {key_hash(_document(value)) for value in values} == {hash_of(key)}
    assert source.fetch(database.name, "equal", [key]).keys() == {key}


def test_what_mongodb_holds_apart_is_two_keys(source: MongoSource, database: Database[dict[str, Any]]) -> None:
    assert raw_documents.insert(database, "apart", [_document(value) for value in APART]) == {}
    keys = [_key(value) for value in APART]
    assert len(set(keys)) == len(APART)
    for key, value in zip(keys, APART, strict=True):
        [found] = source.fetch(database.name, "apart", [key]).items()
        assert found == (key, decode(_document(value)))
        assert key_hash(_document(value)) == hash_of(key)
    _, records = looked_up(source.lookup(database.name, "apart", keys, source.now()))
    assert records == {key: {} for key in keys}


@pytest.mark.parametrize("size", [1, len(APART) - 1, len(APART)])
def test_every_key_can_bound_a_range(size: int, source: MongoSource, database: Database[dict[str, Any]]) -> None:
    raw_documents.insert(database, "apart", [_document(value) for value in APART])
    chunks = list(source.split(database.name, "apart", size))
    assert len(chunks) == max(1, (len(APART) - 1) // size)  # MaxKey is in the last one, whatever its size
    pieces = [piece for chunk in chunks for piece in source.read(database.name, "apart", chunk, source.now())]
    assert Counter(key for piece in pieces for key, _ in piece.documents) == Counter(map(_key, APART))
    for piece in pieces:
        rest = Chunk(lower=piece.rest, upper=None)
        [first, *_] = source.read(database.name, "apart", rest, source.now())
        assert first.documents[0] == piece.documents[-1]


@with_servers(15)
@given(st.lists(raw_bson.VALUES, min_size=1, max_size=40))
@example([(0x05, b"\0\0\0\0\x02")] * 2)  # the server's answer names a key that pymongo cannot decode
def test_keys_are_equal_exactly_where_mongodb_holds_them_equal(
    source: MongoSource, database: Database[dict[str, Any]], values: list[Raw]
) -> None:
    collection = next(_collections)
    database.create_collection(collection)
    refused = raw_documents.insert(database, collection, [_document(value) for value in values])
    held = [value for number, value in enumerate(values) if number not in refused]
    keys = {_key(value) for value in held}
    assert len(keys) == len(held)
    assert {_key(values[number]) for number, code in refused.items() if code == DUPLICATE} <= keys
    assert all(key_hash(_document(value)) == hash_of(_key(value)) for value in values)
    assert source.fetch(database.name, collection, list(keys)).keys() == keys
    chunks = source.split(database.name, collection, 3)
    found = Counter(
        key for chunk in chunks for batch in source.scan(database.name, collection, chunk) for key, _ in batch
    )
    assert found == Counter(keys)


@pytest.mark.parametrize(
    "text",
    ['{"$undefined":true}', '{"$oid":{}}', '{"$set":1}', "[1]", '{"$regularExpression":{"pattern":"","options":"z"}}'],
)
def test_a_key_that_no_document_can_have_finds_none(
    text: str, source: MongoSource, database: Database[dict[str, Any]]
) -> None:
    """Somebody wrote it into the target by hand."""
    database["some"].insert_many([{"_id": 1}, {"_id": "z"}])
    assert source.fetch(database.name, "some", [Key(KeyKind.JSON, text), Key(KeyKind.INT, "9" * 30)]) == {}
