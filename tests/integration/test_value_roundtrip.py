"""Every BSON type on its whole way, through a real change stream and through a first load, with the servers as oracles.

The logic of tailer, scheduler and worker is driven by hand, so that each value is looked at where it arrives.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from pymongo.database import Database

from tests.support.pipeline import Pipeline
from warp.change import TableRef
from warp.sources.mongodb.codec import key_of
from warp.sources.mongodb.source import MongoSource

OID = ObjectId("0123456789abcdef01234567")
MOMENT = datetime(2020, 2, 29, 12, 30, 15, 123000, tzinfo=UTC)
UUID_VALUE = UUID("00112233-4455-6677-8899-aabbccddeeff")

NATIVE: dict[str, tuple[Any, str, Any]] = {
    "int": (42, "bigint", 42),
    "long": (Int64(2**62 + 1), "bigint", 2**62 + 1),
    "double": (1.1, "double precision", 1.1),
    "whole": (2.0, "double precision", 2.0),
    "decimal": (Decimal128("123.4500"), "numeric", Decimal("123.4500")),
    "date": (MOMENT, "timestamp with time zone", MOMENT),
    "before1970": (datetime(1901, 1, 1, tzinfo=UTC), "timestamp with time zone", datetime(1901, 1, 1, tzinfo=UTC)),
    "objectid": (OID, "text", str(OID)),
    "string": ("Käse \U0001f375\n\t\\N \\x", "text", "Käse \U0001f375\n\t\\N \\x"),
    "empty": ("", "text", ""),
    "binary": (b"\x00\x01\\x", "bytea", b"\x00\x01\\x"),
    "uuid": (Binary(UUID_VALUE.bytes, 4), "uuid", UUID_VALUE),
    "bool": (True, "boolean", True),
}
"""By field: a value, the type of its column, and what PostgreSQL says stands in it."""

STRUCTURES: dict[str, tuple[Any, str]] = {
    "object": (
        {"at": MOMENT, "id": OID, "n": Int64(7), "d": 1.5, "dec": Decimal128("1.10"), "none": None, "bin": b"\x01"},
        '{"at":{"$date":"2020-02-29T12:30:15.123Z"},"id":{"$oid":"0123456789abcdef01234567"},"n":7,"d":1.5,'
        '"dec":{"$numberDecimal":"1.10"},"none":null,"bin":{"$binary":{"base64":"AQ==","subType":"00"}}}',
    ),
    "array": ([1, "two", [3.5, {"four": False}], []], '[1,"two",[3.5,{"four":false}],[]]'),
    "nothing_in_it": ({}, "{}"),
    "reference": (DBRef("other", OID), '{"$ref":"other","$id":{"$oid":"0123456789abcdef01234567"}}'),
    "early": (
        [datetime(1960, 1, 1, tzinfo=UTC), Timestamp(5, 6), Regex("^a", "i"), MinKey()],
        '[{"$date":{"$numberLong":"-315619200000"}},{"$timestamp":{"t":5,"i":6}},'
        '{"$regularExpression":{"pattern":"^a","options":"i"}},{"$minKey":1}]',
    ),
}
"""By field: an object or array, and its relaxed Extended JSON."""

MISFITS: dict[str, tuple[Any, str]] = {
    "int": ("text", '"text"'),
    "long": (2.5, '{"$numberDouble":"2.5"}'),
    "double": (Int64(2**53 + 1), '{"$numberLong":"9007199254740993"}'),
    "decimal": (Decimal128("NaN"), '{"$numberDecimal":"NaN"}'),
    "date": (DatetimeMS(10**15), '{"$date":{"$numberLong":"1000000000000000"}}'),
    "before1970": (None, "null"),
    "objectid": ("0123456789abcdef01234567", '"0123456789abcdef01234567"'),
    "string": (OID, '{"$oid":"0123456789abcdef01234567"}'),
    "empty": ("zero\0byte", '{"$utf8":"emVybwBieXRl"}'),
    "binary": (Binary(b"\x01", 5), '{"$binary":{"base64":"AQ==","subType":"05"}}'),
    "uuid": (Binary(b"short", 4), '{"$binary":{"base64":"c2hvcnQ=","subType":"04"}}'),
    "bool": (1, '{"$numberLong":"1"}'),
    "object": ([1], "-"),
    "array": ({"x": -0.0, "y": Int64(1)}, '{"x":{"$numberDouble":"-0.0"},"y":{"$numberLong":"1"}}'),
    "nothing_in_it": ({"$oid": 5}, '{"$object":[["$oid",{"$numberInt":"5"}]]}'),
    "early": (5.0, '{"$numberDouble":"5.0"}'),
    "regex": (Regex("^a", "im"), '{"$regularExpression":{"pattern":"^a","options":"im"}}'),
    "timestamp": (Timestamp(1, 2), '{"$timestamp":{"t":1,"i":2}}'),
    "minkey": (MinKey(), '{"$minKey":1}'),
    "maxkey": (MaxKey(), '{"$maxKey":1}'),
    "code": (Code("f()"), '{"$code":"f()"}'),
    "scoped": (Code("f()", {"n": 1}), '{"$code":"f()","$scope":{"n":{"$numberInt":"1"}}}'),
    "minus_zero": (Decimal128("-0"), '{"$numberDecimal":"-0"}'),
}
"""By field of another kind: a value that does not fit, and its canonical Extended JSON; "-": it fits after all."""


DOCUMENTS: list[dict[str, Any]] = [
    {"_id": 1, **{name: value[0] for name, value in (NATIVE | STRUCTURES).items()}, "always_null": None},
    {"_id": 2, **{name: value for name, (value, _) in MISFITS.items()}},
]


@pytest.fixture(params=["stream", "updates", "load"])
def arrived(request: pytest.FixtureRequest, pipeline: Pipeline, database: Database[dict[str, Any]]) -> str:
    """The documents have come, by the stream, by updates that are looked up, or by the first load; the table's name."""
    table = database["values"]
    if request.param == "load":
        table.insert_many(DOCUMENTS)
        pipeline.load("values")
    elif request.param == "stream":
        pipeline.tailer.tick()
        table.insert_many(DOCUMENTS)
        pipeline.follow("values", 2)
    else:
        pipeline.tailer.tick()
        for document in DOCUMENTS:
            table.insert_one({"_id": document["_id"]})
            table.update_one({"_id": document["_id"]}, {"$set": document})
        pipeline.follow("values", 4)
    return "values"


def test_values_land_in_native_columns(arrived: str, database: Database[dict[str, Any]], pg_dsn: str) -> None:
    with psycopg.connect(pg_dsn, options="-c timezone=UTC") as connection:
        types: dict[str, str] = dict(
            connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name = %s",
                [database.name, arrived],
            ).fetchall()
        )
        cursor = connection.execute(f'SELECT * FROM "{database.name}"."{arrived}" WHERE _id = 1')
        [row] = cursor.fetchall()
        assert cursor.description is not None
        stored = {column.name: value for column, value in zip(cursor.description, row, strict=True)}
    for name, (_, kind, expected) in NATIVE.items():
        assert (types[name], stored[name]) == (kind, expected), name
        assert type(stored[name]) is type(expected), name
    for name, (_, text) in STRUCTURES.items():
        assert (types[name], stored[name]) == ("jsonb", json.loads(text)), name
    assert types["_id"] == "bigint"
    assert "always_null" not in types
    assert stored["_extra"] == {"always_null": None}


def test_what_does_not_fit_is_kept_exactly(arrived: str, database: Database[dict[str, Any]], pg_dsn: str) -> None:
    with psycopg.connect(pg_dsn) as connection:
        query = f'SELECT _extra FROM "{database.name}"."{arrived}" WHERE _id = 2'
        [(extra,)] = connection.execute(query.encode()).fetchall()
    expected = {name: json.loads(text) for name, (_, text) in MISFITS.items() if text != "-"}
    assert extra == expected


def test_documents_can_be_rebuilt_from_their_rows(
    arrived: str, database: Database[dict[str, Any]], pipeline: Pipeline, source: MongoSource
) -> None:
    ref = TableRef(database.name, arrived)
    destination = pipeline.connections.destination
    keys = [key_of(document["_id"]) for document in DOCUMENTS]
    rows = destination.rows(ref, keys)
    for key, document in source.fetch(*ref, keys).items():
        assert source.differences(document, key, rows[key]) == ()
    assert source.differences({"_id": 1, "int": 43}, keys[0], rows[keys[0]]) != ()
