"""BSON documents as keys and records: equal keys are one key, and no value is lost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import bson
import orjson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.unit import jsonb, raw_bson
from tests.unit.bson_values import DECIMALS, DOCUMENTS, DOUBLES, IDENTITIES, INT64
from warp.change import Key, KeyKind
from warp.sources.base import StoredJson
from warp.sources.mongodb.codec import hash_of, key_hash, key_of, key_value, record_of
from warp.sources.mongodb.decoding import decode
from warp.sources.mongodb.encoding import encode
from warp.sources.mongodb.extended_json import WRAPPER_NAME
from warp.sources.mongodb.parse import same_as_stored
from warp.values import ObjectIdText, Opaque, Structured, Value, exact_json

OID = ObjectId("0123456789abcdef01234567")


def _hash(identity: Any, **others: Any) -> int:
    return key_hash(encode({"_id": identity, **others}))


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        (OID, Key(KeyKind.OBJECT_ID, "0123456789abcdef01234567")),
        ("8", Key(KeyKind.STRING, "8")),
        (8, Key(KeyKind.INT, "8")),
        (Binary(bytes(range(16)), 4), Key(KeyKind.UUID, "00010203-0405-0607-0809-0a0b0c0d0e0f")),
        (Binary(bytes(16), 3), Key(KeyKind.JSON, f'{{"$binary":{{"base64":"{"A" * 22}==","subType":"03"}}}}')),
        (Binary(bytes(15), 4), Key(KeyKind.JSON, f'{{"$binary":{{"base64":"{"A" * 20}","subType":"04"}}}}')),
        (8.5, Key(KeyKind.JSON, '{"$numberDouble":"8.5"}')),
        (True, Key(KeyKind.JSON, "true")),
        (None, Key(KeyKind.JSON, "null")),
        ({"a": 1}, Key(KeyKind.JSON, '{"a":{"$numberLong":"1"}}')),
    ],
)
def test_keys_by_kind(identity: Any, key: Key) -> None:
    assert key_of(identity) == key


@pytest.mark.parametrize(
    "equal",
    [
        [8, Int64(8), 8.0, Decimal128("8"), Decimal128("8.00"), Decimal128("0.8E+1")],
        [0, -0.0, 0.0, Decimal128("-0"), Decimal128("0E+3")],
        [0.5, Decimal128("0.5"), Decimal128("0.500")],
        [2.0**70, Decimal128(str(2**70))],
        [-(2**63), Int64(-(2**63)), -(2.0**63)],
        [{"a": 8, "b": [1.0]}, {"a": 8.0, "b": [1]}, {"a": Decimal128("8"), "b": [Int64(1)]}],
        [float("inf"), Decimal128("Infinity")],
        [float("-inf"), Decimal128("-Infinity")],
        [float("nan"), Decimal128("NaN"), Decimal128("-NaN"), Decimal128("sNaN")],
        [{"n": 1.5}, {"n": Decimal128("1.50")}],
    ],
    ids=lambda equal: str(equal[0]),
)
def test_values_that_mongodb_holds_equal_are_one_key_in_one_partition(equal: list[Any]) -> None:
    assert len({key_of(identity) for identity in equal}) == 1
    assert len({_hash(identity) for identity in equal}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (8, "8"),
        (1, True),
        (0, False),
        ("0123456789abcdef01234567", OID),
        (OID, {"$oid": "0123456789abcdef01234567"}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (None, "null"),
        (b"x", "x"),
        (b"x", Binary(b"x", 5)),
        (Binary(bytes(16), 4), Binary(bytes(16), 3)),
        (Binary(bytes(16), 4), str(UUID(int=0))),
        (Int64(2**53 + 1), float(2**53)),
        (0.1, Decimal128("0.1")),
        (Decimal128("0.1234567890123456789012345678901234"), Decimal128("0.1234567890123456789012345678901235")),
        (1e40, Decimal128("1.000000000000000030378602842700367E+40")),
        ({"n": Decimal128("1E+40")}, {"n": Decimal128("1.000000000000000000000000000000001E+40")}),
        (datetime(1970, 1, 1), 0),
        ("", None),
    ],
)
def test_values_that_mongodb_holds_apart_are_two_keys(one: Any, other: Any) -> None:
    assert key_of(one) != key_of(other)


@given(IDENTITIES)
def test_a_key_gives_back_an_equal_identity(identity: Any) -> None:
    identity = decode(encode({"_id": identity}))["_id"]
    key = key_of(identity)
    again = key_value(key)
    assert key_of(again) == key
    assert _hash(again) == _hash(identity) == hash_of(key)


@given(INT64, DOUBLES, DECIMALS, DECIMALS)
@example(0, 1e40, Decimal128("1.000000000000000030378602842700367E+40"), Decimal128("1E+40"))
@example(0, 0.1, Decimal128("0.1000000000000000000000000000000001"), Decimal128("0.1000000000000000000000000000000002"))
def test_numbers_are_one_key_exactly_where_they_are_equal(
    whole: int, double: float, decimal: Decimal128, another: Decimal128
) -> None:
    """As mongod does, which compares a double with a Decimal128 by all of the double's digits."""
    exact, others = decimal.to_decimal(), another.to_decimal()
    assume(exact.is_finite() and others.is_finite() and double == double and abs(double) != float("inf"))
    numbers: list[tuple[Any, Any]] = [(Int64(whole), Decimal(whole)), (double, Decimal(double)), (decimal, exact)]
    numbers += [(float(whole), Decimal(float(whole))), (Decimal128(str(whole)), Decimal(whole)), (another, others)]
    for one, its in numbers:
        for other, value in numbers:
            assert (key_of(one) == key_of(other)) == (its == value)
            assert its != value or _hash(one) == _hash(other)


@given(raw_bson.VALUES)
@example((0x13, bytes(14) + b"\x00\x7e"))  # a signalling NaN
@example((0x0E, b"\x02\0\0\0\xff\0"))  # a symbol that is not UTF-8
def test_every_identity_has_a_key_and_a_partition_and_every_value_goes_into_a_record(value: tuple[int, bytes]) -> None:
    raw = raw_bson.document([(b"_id", value)])
    key = key_of(decode(raw)["_id"])
    assert key_hash(raw) == hash_of(key)
    assert key_of(key_value(key)) == key
    fields = decode(raw_bson.document([(b"f", value)]))
    assert record_of(fields, suspicious=True).keys() == {"f"}


def test_only_the_identity_counts_for_the_partition() -> None:
    assert _hash("x") == _hash("x", shard="a") == _hash("x", shard="b")
    raw = bson.encode({"shard": 1, "_id": "x"})
    assert key_hash(raw) == _hash("x")
    assert key_hash(bson.encode({"shard": 1, "_id": OID})) == _hash(OID)


def test_partitions_are_filled_evenly() -> None:
    shares = [_hash(ObjectId(f"{number:024x}")) % 4 for number in range(2000)]
    assert min(shares.count(share) for share in range(4)) > 400


def _record(document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Value]]:
    raw = encode(document)
    decoded = decode(raw)
    return decoded, dict(record_of(decoded, suspicious=WRAPPER_NAME.search(raw) is not None))


@given(DOCUMENTS)
def test_every_value_comes_back_from_its_exact_form(document: dict[str, Any]) -> None:
    decoded, record = _record(document)
    assert record.keys() == decoded.keys()
    for name, value in record.items():
        text = jsonb.stored(exact_json(value))
        orjson.loads(text)
        assert same_as_stored(decoded[name], StoredJson(text))


@given(DOCUMENTS)
def test_every_value_comes_back_from_a_column(document: dict[str, Any]) -> None:
    decoded, record = _record(document)
    for name, value in record.items():
        if not isinstance(value, Opaque):
            in_column = StoredJson(jsonb.stored(value.text)) if isinstance(value, Structured) else value
            assert same_as_stored(decoded[name], in_column)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Int64(5), 5),
        (OID, ObjectIdText(str(OID))),
        (Decimal128("1.10"), Decimal("1.10")),
        (Decimal128.from_bid((6176 << 113 | 10**34).to_bytes(16, "little")), Decimal(0)),  # a digit too many
        (Binary(bytes(16), 4), UUID(int=0)),
        (datetime(2020, 1, 1), datetime(2020, 1, 1)),
        ("x", "x"),
        (None, None),
    ],
)
def test_scalars_become_values_of_columns(value: Any, expected: Value) -> None:
    _, record = _record({"v": value})
    assert record == {"v": expected}
    assert record["v"].__class__ is expected.__class__


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Decimal128("NaN"), "decimal_special"),
        (Decimal128("-0"), "decimal_special"),
        (Binary(b"x", 5), "binary_subtype"),
        ({"a": -0.0}, "not_json"),
        (bson.MinKey(), "bson_type"),
        (bson.Timestamp(1, 1), "bson_type"),
    ],
)
def test_what_no_column_holds_says_why(value: Any, reason: str) -> None:
    _, record = _record({"v": value})
    kept = record["v"]
    assert isinstance(kept, Opaque)
    assert kept.reason == reason


@given(st.binary(max_size=8))
def test_strings_that_are_not_utf8_are_decoded_and_come_back(text: bytes) -> None:
    raw = b"\x02v\0" + (len(text) + 1).to_bytes(4, "little") + text + b"\0"
    document = decode((len(raw) + 5).to_bytes(4, "little") + raw + b"\0")
    record = record_of(document, suspicious=False)
    assert same_as_stored(document["v"], StoredJson(jsonb.stored(exact_json(record["v"]))))
    assert document["v"].encode("utf-8", "surrogateescape") == text
