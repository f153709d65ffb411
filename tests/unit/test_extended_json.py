"""Any BSON value as Extended JSON, through jsonb, and back: nothing is lost, and what would be is refused."""

from __future__ import annotations

from typing import Any

import bson
import orjson
import pytest
from bson import Code, DatetimeMS, DBRef, Decimal128, Int64, MinKey, ObjectId, Timestamp
from hypothesis import given

from tests.unit import jsonb
from tests.unit.bson_values import STRUCTURED, VALUES
from warp.sources.mongodb.decoding import OPTIONS
from warp.sources.mongodb.extended_json import WRAPPER_NAME, WRAPPERS, NotRelaxed, canonical_bytes, relaxed
from warp.sources.mongodb.parse import parse, same


def _through_bson(value: Any) -> tuple[Any, bool]:
    """The value as it comes from MongoDB, and whether its bytes held a wrapper's name."""
    raw = bson.encode({"v": value}, codec_options=OPTIONS)
    return bson.decode(raw, OPTIONS)["v"], WRAPPER_NAME.search(raw) is not None


def _back(text: str | bytes) -> Any:
    return parse(orjson.loads(jsonb.stored(text)))


@given(VALUES)
def test_canonical_json_brings_any_value_back(value: Any) -> None:
    value, _ = _through_bson(value)
    assert same(_back(canonical_bytes(value)), value)


@given(VALUES)
def test_canonical_json_keeps_the_type_of_every_value(value: Any) -> None:
    value, _ = _through_bson(value)
    again = _back(canonical_bytes(value))
    assert canonical_bytes(again) == canonical_bytes(value)


@given(STRUCTURED)
def test_relaxed_json_brings_a_value_back_or_is_refused(value: Any) -> None:
    value, suspicious = _through_bson(value)
    try:
        text = relaxed(value, suspicious=suspicious)
    except NotRelaxed:
        return
    assert same(_back(text), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": [True, None, "x"]}, '{"a":1,"b":[true,null,"x"]}'),
        ([Int64(5), 1.5], "[5,1.5]"),
        ({"id": ObjectId("0" * 24)}, '{"id":{"$oid":"000000000000000000000000"}}'),
        ({"d": Decimal128("1.10")}, '{"d":{"$numberDecimal":"1.10"}}'),
        ({"at": DatetimeMS(10**15)}, '{"at":{"$date":{"$numberLong":"1000000000000000"}}}'),
        ({"t": Timestamp(1, 2)}, '{"t":{"$timestamp":{"t":1,"i":2}}}'),
        ({"$set": 1}, '{"$set":1}'),
        ({"a": float("nan"), "b": "null"}, '{"a":{"$numberDouble":"NaN"},"b":"null"}'),
        ([None, [float("inf")], 1.5], '[null,[{"$numberDouble":"Infinity"}],1.5]'),
        ({"d": DBRef("c", float("-inf"))}, '{"d":{"$ref":"c","$id":{"$numberDouble":"-Infinity"}}}'),
        ({"c": Code("f()", {"n": float("nan")})}, '{"c":{"$code":"f()","$scope":{"n":{"$numberDouble":"NaN"}}}}'),
    ],
)
def test_relaxed_json_is_what_people_query(value: Any, text: str) -> None:
    assert relaxed(value, suspicious=False) == text


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": -0.0}},
        [float("nan"), -0.0],
        [float("inf"), {"b": [2.0**60]}],
        {"a": float("nan"), "b": "x\0y"},
        {"a": [float("nan")], "$oid": "mine"},
        {"a": "x\0y"},
        [{"$oid": "mine"}],
        {"a": [{"$numberLong": "8"}]},
        [2.0**60],
    ],
)
def test_what_jsonb_would_change_is_refused(value: Any) -> None:
    with pytest.raises(NotRelaxed):
        relaxed(value, suspicious=_through_bson(value)[1])


@pytest.mark.parametrize("name", sorted(WRAPPERS))
def test_an_object_that_looks_like_a_wrapper_comes_back_as_an_object(name: str) -> None:
    for value in ({name: "1"}, {name: {name: 1}}, {"a": 1, name: 2}):
        again = _back(canonical_bytes(value))
        assert isinstance(again, dict)
        assert same(again, value)
        assert _through_bson(value)[1], "its name is found in the bytes"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (8, 8.0),
        (8, Int64(8)),
        (8, Decimal128("8.00")),
        (float("nan"), float("nan")),
        (float("nan"), Decimal128("NaN")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Code("x", {"a": 1}), Code("x", {"a": 1.0})),
    ],
)
def test_values_that_are_the_same(one: Any, other: Any) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0.0, -0.0),
        (Decimal128("0"), Decimal128("-0")),
        (None, False),
        ("8", 8),
        ([1, 2], [2, 1]),
        ({"a": None}, {}),
        (Code("x"), "x"),
        (Code("x"), Code("x", {})),
        (MinKey(), None),
        (b"x", "x"),
        (bson.Binary(b"x", 5), b"x"),
        (2**53 + 1, float(2**53)),
        (DatetimeMS(1), 1),
    ],
)
def test_values_that_differ(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same(other, one)
