"""BSON bytes to values and back: nothing is lost that pymongo would lose, whatever MongoDB holds."""

from __future__ import annotations

import struct
from typing import Any

import bson
import orjson
import pytest
from bson import Code, DBRef, ObjectId, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import jsonb, raw_bson
from tests.unit.raw_bson import document, string
from warp.sources.base import StoredJson
from warp.sources.mongodb.bson_types import (
    DBPointer,
    MalformedBinary,
    Pairs,
    RegularExpression,
    Repeated,
    ScopedCode,
    Symbol,
    Undefined,
)
from warp.sources.mongodb.codec import key_of, record_of
from warp.sources.mongodb.decoding import decode, decode_all
from warp.sources.mongodb.encoding import encode
from warp.sources.mongodb.events import decode_events, describe
from warp.sources.mongodb.extended_json import canonical_bytes
from warp.sources.mongodb.parse import parse, same, same_as_stored
from warp.values import Opaque, exact_json

ONE, TWO = (0x10, b"\1\0\0\0"), (0x10, b"\2\0\0\0")
OID = bytes(range(12))
TWICE = (0x03, document([(b"a", ONE), (b"b", TWO), (b"a", TWO)]))
_SCOPED = string(b"f") + TWICE[1]

LOST: dict[str, tuple[tuple[int, bytes], Any, str]] = {
    "undefined": ((0x06, b""), Undefined(), '{"$undefined":true}'),
    "symbol": ((0x0E, string(b"a")), Symbol("a"), '{"$symbol":"a"}'),
    "symbol_bytes": ((0x0E, string(b"\xff")), Symbol("\udcff"), '{"$symbol":{"$utf8":"/w=="}}'),
    "pointer": (
        (0x0C, string(b"db.c") + OID),
        DBPointer("db.c", ObjectId(OID)),
        '{"$dbPointer":{"$ref":"db.c","$id":{"$oid":"000102030405060708090a0b"}}}',
    ),
    "options": (
        (0x0B, b"^a\0zmi\0"),
        RegularExpression("^a", "zmi"),
        '{"$regularExpression":{"pattern":"^a","options":"zmi"}}',
    ),
    "twice": (
        TWICE,
        Pairs((("a", 1), ("b", 2), ("a", 2))),
        '{"$object":[["a",{"$numberInt":"1"}],["b",{"$numberInt":"2"}],["a",{"$numberInt":"2"}]]}',
    ),
    "scope": (
        (0x0F, struct.pack("<i", len(_SCOPED) + 4) + _SCOPED),
        ScopedCode("f", Pairs((("a", 1), ("b", 2), ("a", 2)))),
        '{"$code":"f","$scope":{"$object":'
        '[["a",{"$numberInt":"1"}],["b",{"$numberInt":"2"}],["a",{"$numberInt":"2"}]]}}',
    ),
    "binary": ((0x05, b"\3\0\0\0\2abc"), MalformedBinary(b"abc"), '{"$malformedBinary":"YWJj"}'),
    "deep": (
        (0x04, document([(b"0", (0x03, document([(b"s", (0x0E, string(b"x")))])))])),
        [{"s": Symbol("x")}],
        '[{"s":{"$symbol":"x"}}]',
    ),
}
"""What pymongo decodes as something else, or not at all: bytes, value, canonical Extended JSON."""


@pytest.mark.parametrize("name", LOST)
def test_what_pymongo_would_lose_is_kept(name: str) -> None:
    raw, value, text = LOST[name]
    decoded = decode(document([(b"_id", ONE), (b"v", raw)]))["v"]
    assert decoded == value
    assert canonical_bytes(decoded).decode() == text
    again = parse(orjson.loads(jsonb.stored(text)))
    assert again == value
    assert same(again, decoded)


@pytest.mark.parametrize("name", LOST)
def test_what_pymongo_would_lose_is_told_from_what_it_would_become(name: str) -> None:
    raw, value, text = LOST[name]
    others = [others for other, (_, others, _) in LOST.items() if other != name]
    plain = [None, "a", "\udcff", "^a", {"a": 2, "b": 2}, [{"s": "x"}], DBRef("db.c", ObjectId(OID)), b"abc", Code("f")]
    for other in [*others, *plain, RegularExpression("^a", "im"), Pairs((("a", 2), ("a", 1), ("b", 2)))]:
        assert not same(value, other)
        assert not same(other, value)
        assert not same_as_stored(other, StoredJson(text))
    assert same_as_stored(decode(document([(b"v", raw)]))["v"], StoredJson(text))


def test_a_field_that_stands_twice_in_its_document_keeps_all_of_its_values() -> None:
    raw = document([(b"_id", ONE), (b"a", ONE), (b"b", TWO), (b"a", (0x0A, b""))])
    [read] = decode_all(raw)
    assert read == {"_id": 1, "a": Repeated((1, None)), "b": 2}
    record = record_of(read, suspicious=False)
    kept = record["a"]
    assert isinstance(kept, Opaque)
    assert (kept.text, kept.reason) == (b'{"$repeated":[{"$numberInt":"1"},null]}', "repeated_field")
    assert same_as_stored(read["a"], StoredJson(kept.text.decode()))
    for other in (1, None, [1, None], Repeated((None, 1)), {"$repeated": [1, None]}):
        assert not same_as_stored(other, StoredJson(kept.text.decode()))


@given(raw_bson.VALUES)
def test_any_bytes_come_back(value: tuple[int, bytes]) -> None:
    raw = document([(b"v", value)])
    assert encode(decode(raw)) == raw


@given(raw_bson.VALUES)
def test_any_value_comes_back_from_its_exact_form(value: tuple[int, bytes]) -> None:
    read = decode(document([(b"v", value)]))["v"]
    stored = StoredJson(jsonb.stored(canonical_bytes(read)))
    assert same_as_stored(read, stored)
    assert canonical_bytes(parse(orjson.loads(stored.text))) == canonical_bytes(read)


@given(raw_bson.VALUES, raw_bson.VALUES)
def test_only_values_that_are_the_same_share_an_exact_form(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    left, right = (decode(document([(b"v", value)]))["v"] for value in (one, other))
    assert canonical_bytes(left) != canonical_bytes(right) or same(left, right)
    assert same(left, right) == same(right, left)


@given(st.lists(raw_bson.VALUES, max_size=4))
def test_joined_documents_are_read_as_each_alone(values: list[tuple[int, bytes]]) -> None:
    documents = [document([(b"v", value)]) for value in values]
    assert list(map(repr, decode_all(b"".join(documents)))) == [repr(decode(raw)) for raw in documents]


LEVELS = 178
"""MongoDB takes documents of 180 levels."""


def _nested(name: bytes, *, twice: bool, scoped: bool) -> tuple[int, bytes]:
    value = (0x0A, b"")
    for _ in range(LEVELS):
        raw = document([(name, value)] + [(name, ONE)] * twice)
        code = string(b"f") + raw
        value = (0x0F, struct.pack("<i", len(code) + 4) + code) if scoped else (0x03, raw)
    return value


@pytest.mark.parametrize("scoped", [False, True])
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("name", [b"a", b"$oid"])
def test_the_deepest_documents_are_kept(name: bytes, twice: bool, scoped: bool) -> None:
    raw = document([(b"_id", ONE), (b"v", _nested(name, twice=twice, scoped=scoped))])
    [read] = decode_all(raw)
    assert encode(read) == raw
    record_of(read, suspicious=True)
    text = canonical_bytes(read["v"]).decode()
    assert same_as_stored(read["v"], StoredJson(text))
    key_of(read["v"])


def _event(full_document: bytes | None, identity: tuple[int, bytes] = ONE) -> bytes:
    return document(
        [
            (b"_id", (0x03, document([(b"_data", (0x02, string(b"8265")))]))),
            (b"operationType", (0x02, string(b"insert" if full_document else b"delete"))),
            (b"clusterTime", (0x11, struct.pack("<II", 1, 2))),
            *([(b"fullDocument", (0x03, full_document))] if full_document else []),
            (b"documentKey", (0x03, document([(b"_id", identity)]))),
        ]
    )


def test_a_change_event_keeps_what_its_document_holds() -> None:
    odd = document([(b"_id", ONE), (b"a", (0x06, b"")), (b"a", ONE), (b"o", TWICE), (b"s", (0x0E, string(b"x")))])
    reference = document([(b"_id", ONE), (b"$ref", (0x02, string(b"c"))), (b"$id", ONE)])
    plain = document([(b"_id", ONE), (b"n", TWO)])
    changes = decode_events(b"".join(map(_event, (plain, odd, reference))))
    assert [dict(change.record or {}) for change in changes[::2]] == [{"n": 2}, {"$ref": "c", "$id": 1}]
    record = changes[1].record
    assert record is not None
    assert {name: value.text for name, value in record.items() if isinstance(value, Opaque)} == {
        "a": b'{"$repeated":[{"$undefined":true},{"$numberInt":"1"}]}',
        "o": LOST["twice"][2].encode(),
        "s": b'{"$symbol":"x"}',
    }


@given(raw_bson.VALUES, raw_bson.VALUES)
def test_a_change_event_has_the_key_and_the_record_of_its_document(
    identity: tuple[int, bytes], value: tuple[int, bytes]
) -> None:
    raw = document([(b"_id", identity), (b"v", value)])
    read = decode(raw)
    plain = _event(document([(b"_id", ONE)]))
    _, change, _ = decode_events(plain + _event(raw, identity) + plain)
    assert change.key == key_of(read["_id"])
    assert change.record is not None
    assert exact_json(change.record["v"]) == exact_json(record_of(read, suspicious=True)["v"])


@given(raw_bson.VALUES)
def test_a_delete_has_the_key_of_its_document(identity: tuple[int, bytes]) -> None:
    plain = _event(document([(b"_id", ONE)]))
    _, change = decode_events(plain + _event(None, identity))
    assert change.key == key_of(decode(document([(b"_id", identity)]))["_id"])


def test_a_change_is_described_with_all_that_it_holds() -> None:
    odd = document([(b"_id", ONE), (b"a", (0x06, b"")), (b"a", ONE), (b"s", (0x0E, string(b"x")))])
    shown = orjson.loads(describe(_event(odd)))["fullDocument"]
    assert shown == {
        "$object": [
            ["_id", {"$numberInt": "1"}],
            ["a", {"$undefined": True}],
            ["a", {"$numberInt": "1"}],
            ["s", {"$symbol": "x"}],
        ]
    }


def test_common_documents_are_as_pymongo_reads_them() -> None:
    raw = bson.encode({"_id": ObjectId(OID), "n": 1, "t": Timestamp(1, 2), "o": {"l": [1, "x", None]}})
    assert decode(raw) == bson.decode(raw)
