"""Filters over BSON: what pymongo has no class for, objects in all their forms, and the values of hashes."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from bson import DBRef, Decimal128, Int64, ObjectId

from warp.filters import REDACTED, FieldFilter, FieldPatterns, Mask
from warp.sources.mongodb.bson_types import Pairs, Repeated, Symbol
from warp.sources.mongodb.codec import split_document
from warp.sources.mongodb.decoding import decode
from warp.sources.mongodb.encoding import encode
from warp.sources.mongodb.tree import BSON
from warp.values import Opaque, exact_json

SALT = "a salt of these tests"
SECRET = "ann@example.org"


def filtered(document: dict[str, Any], patterns: FieldPatterns) -> dict[str, str]:
    """What a filter lets through of a document, on its way from bytes to values, as their exact JSON."""
    _, record = split_document(decode(encode(document)), FieldFilter([patterns], SALT), suspicious=True)
    return {name: exact_json(value).decode() for name, value in record.items()}


def hashed(value: Any) -> str:
    document = FieldFilter([FieldPatterns(mask=(("v", Mask.HASH),))], SALT).apply({"v": value}, BSON)
    return str(document["v"])


def test_objects_in_all_their_forms_are_looked_into() -> None:
    pairs = Pairs((("email", SECRET), ("email", SECRET), ("v", 1), ("v", 2)))
    document = {"_id": 1, "twice": pairs, "list": [[pairs]], "link": DBRef("people", SECRET), "kept": {"email": "x"}}
    for patterns in (
        FieldPatterns(exclude=("twice.email", "list.email", "link.$id")),
        FieldPatterns(mask=(("twice.email", Mask.HASH), ("list.email", Mask.REDACT), ("link.$id", Mask.NULL))),
        FieldPatterns(include=("twice.v", "list.v", "link.$ref")),
    ):
        record = filtered(document, patterns)
        assert {"twice", "list", "link"} <= record.keys()
        assert SECRET not in str(record)
        assert '["v",{"$numberInt":"2"}]' in record["twice"]


def test_a_field_that_stands_twice_in_its_document_is_hidden_each_time() -> None:
    document = {"_id": 1, "f": Repeated((SECRET, {"email": SECRET}))}
    record = FieldFilter([FieldPatterns(exclude=("f.email",))], SALT).apply(document, BSON)
    assert record["f"] == Repeated((SECRET, {}))
    record = FieldFilter([FieldPatterns(mask=(("f", Mask.REDACT),))], SALT).apply(document, BSON)
    assert record["f"] == REDACTED


def test_what_jsonb_cannot_hold_is_looked_into_too() -> None:
    patterns = FieldPatterns(exclude=("special.email",))
    record = split_document(
        {"_id": 1, "special": {"email": SECRET, "zero": -0.0}}, FieldFilter([patterns], SALT), suspicious=False
    )[1]
    assert isinstance(record["special"], Opaque)
    assert SECRET.encode() not in exact_json(record["special"])


def test_hashes_of_values() -> None:
    assert hashed(SECRET) == sha256(f"{SALT}{SECRET}".encode()).hexdigest()
    assert hashed(8) == hashed(Int64(8)) == sha256(f'{SALT}{{"$numberLong":"8"}}'.encode()).hexdigest()
    others = [
        8,
        8.0,
        True,
        "8",
        Decimal128("8"),
        [8],
        {"v": 8},
        ObjectId("0" * 24),
        "0" * 24,
        Symbol("8"),
        "\udcff",
        "",
    ]
    assert len({hashed(value) for value in others}) == len(others)
