"""Every BSON type, in a real PostgreSQL, after a real change stream and a first load: one class for each type.

What becomes what is said in docs/types.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, nan
from struct import pack
from typing import Any
from uuid import uuid4

import pytest
from bson import Decimal128
from pymongo import MongoClient

from tests.integration.bson_types import WAYS, Arrived, BsonType, binary, fits, kept, shown_binary
from tests.support.endpoints import Endpoints, write_config
from tests.support.pipeline import Pipeline
from tests.support.postgresql import drop_database, migrated_database
from tests.unit.raw_bson import document, string
from warp.config import load_config
from warp.connections import open_connections
from warp.embedded import EmbeddedServers

OID = bytes.fromhex("0123456789abcdef01234567")
OID_TEXT = OID.hex()


@pytest.fixture(scope="module")
def arrived(servers: EmbeddedServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    """The values of all types, arrived by every way."""
    dsn, name = migrated_database(servers), f"test_{uuid4().hex[:12]}"
    endpoints = Endpoints(mongo_uri=servers.mongodb.uri, redis_url=servers.redis.url, pg_dsn=dsn)
    connections = open_connections(
        load_config(write_config(tmp_path_factory.mktemp(name) / "c.yaml", endpoints, [name]), {})
    )
    pipeline = Pipeline(connections, name)
    with MongoClient[dict[str, Any]](servers.mongodb.uri) as client:
        try:
            yield Arrived(pipeline, client[name], dsn)
        finally:
            pipeline.tailer.close()
            connections.close()
            client.drop_database(name)
            drop_database(servers, dsn)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How the documents came: as inserts, as updates that are looked up, or by a first load."""
    name: str = request.param
    return name


def double(number: float) -> tuple[int, bytes]:
    return 0x01, pack("<d", number)


def text(raw: bytes) -> tuple[int, bytes]:
    return 0x02, string(raw)


def integer(number: int) -> tuple[int, bytes]:
    return 0x10, pack("<i", number)


def long(number: int) -> tuple[int, bytes]:
    return 0x12, pack("<q", number)


def date(milliseconds: int) -> tuple[int, bytes]:
    return 0x09, pack("<q", milliseconds)


def decimal(number: str) -> tuple[int, bytes]:
    return 0x13, Decimal128(number).bid


def objects(*elements: tuple[bytes, tuple[int, bytes]]) -> tuple[int, bytes]:
    return 0x03, document(list(elements))


def array(*items: tuple[int, bytes]) -> tuple[int, bytes]:
    return 0x04, document([(str(number).encode(), item) for number, item in enumerate(items)])


def scoped(code: bytes, *elements: tuple[bytes, tuple[int, bytes]]) -> tuple[int, bytes]:
    rest = string(code) + document(list(elements))
    return 0x0F, pack("<i", len(rest) + 4) + rest


def extended(name: str, value: str) -> str:
    return f'{{"{name}":"{value}"}}'


class TestDouble(BsonType):
    NAME, COLUMN = "double", "double precision"
    VALUES = (
        fits(double(1.5), "1.5"),
        fits(double(-0.1), "-0.1"),
        fits(double(5e-324), "5e-324"),
        fits(double(2.0), "2", "2.0"),
        fits(double(2.0**60), "1.152921504606847e+18", extended("$numberDouble", "1.152921504606847e+18"), exact=True),
        fits(double(nan), "NaN", extended("$numberDouble", "NaN")),
        fits(double(inf), "Infinity", extended("$numberDouble", "Infinity")),
        fits(double(-inf), "-Infinity", extended("$numberDouble", "-Infinity")),
        fits(double(-0.0), "-0", extended("$numberDouble", "-0.0"), exact=True),
        kept(text(b"1.5"), '"1.5"'),
    )


class TestString(BsonType):
    NAME, COLUMN = "string", "text"
    VALUES = (
        fits(text("Käse \U0001f375".encode()), "Käse \U0001f375", '"Käse \U0001f375"'),
        fits(text(b""), "", '""'),
        fits(text(rb"\N \x \." + b"\n\t\r"), "\\N \\x \\.\n\t\r", r'"\\N \\x \\.\n\t\r"'),
        fits(text(b"null"), "null", '"null"'),
        kept(text(b"a\0b"), extended("$utf8", "YQBi"), exact=True),
        kept(text(b"\xff\xfe"), extended("$utf8", "//4="), exact=True),
        kept(text(b"\xed\xa0\x80"), extended("$utf8", "7aCA"), exact=True),
        kept((0x07, OID), extended("$oid", OID_TEXT)),
    )


class TestObject(BsonType):
    NAME, COLUMN = "object", "jsonb"
    VALUES = (
        fits(objects((b"b", integer(1)), (b"a", objects((b"", text(b"x"))))), '{"b":1,"a":{"":"x"}}'),
        fits(objects(), "{}"),
        fits(objects((b"$ref", text(b"c")), (b"$id", (0x07, OID))), f'{{"$ref":"c","$id":{{"$oid":"{OID_TEXT}"}}}}'),
        kept(objects((b"$oid", integer(5))), '{"$object":[["$oid",{"$numberInt":"5"}]]}', exact=True),
        kept(
            objects((b"a", integer(1)), (b"a", integer(1))),
            '{"$object":[["a",{"$numberInt":"1"}],["a",{"$numberInt":"1"}]]}',
            exact=True,
        ),
        kept(objects((b"\xff", (0x0A, b""))), '{"$object":[[{"$utf8":"/w=="},null]]}', exact=True),
        kept(text(b"{}"), '"{}"'),
    )


class TestArray(BsonType):
    NAME, COLUMN = "array", "jsonb"
    VALUES = (
        fits(array(integer(1), text(b"two"), array(double(3.5)), (0x0A, b"")), '[1,"two",[3.5],null]'),
        fits(array(), "[]"),
        fits(array(double(nan), (0x0A, b"")), '[{"$numberDouble":"NaN"},null]'),
        fits(array(array(double(inf), double(-inf))), '[[{"$numberDouble":"Infinity"},{"$numberDouble":"-Infinity"}]]'),
        kept(array(double(-0.0), integer(1)), '[{"$numberDouble":"-0.0"},{"$numberInt":"1"}]', exact=True),
        kept(text(b"[]"), '"[]"'),
    )


class TestBinary(BsonType):
    NAME, COLUMN = "binary", "bytea"
    VALUES = (
        fits(binary(0, b"\0\1\\x\xff"), r"\x00015c78ff", shown_binary(0, b"\0\1\\x\xff")),
        fits(binary(0, b""), r"\x", shown_binary(0, b"")),
        *(kept(binary(subtype, b"abc"), shown_binary(subtype, b"abc")) for subtype in (1, 5, 6, 7, 8, 128, 255)),
        kept(binary(2, pack("<i", 3) + b"abc"), shown_binary(2, b"abc")),
        kept(binary(2, b"abc"), extended("$malformedBinary", "YWJj")),
    )


class TestUuid(BsonType):
    NAME, COLUMN = "uuid", "uuid"
    VALUES = (
        fits(binary(4, bytes(range(16))), "00010203-0405-0607-0809-0a0b0c0d0e0f", shown_binary(4, bytes(range(16)))),
        kept(binary(3, bytes(range(16))), shown_binary(3, bytes(range(16)))),
        kept(binary(4, b"short"), shown_binary(4, b"short")),
    )


class TestVector(BsonType):
    NAME = "vector"
    VALUES = tuple(
        kept(binary(9, data), shown_binary(9, data))
        for data in (b"\x27\0" + pack("<ff", 1.5, nan), b"\x03\0\x7f\x80", b"\x10\3\xf8", b"")
    )


class TestUndefined(BsonType):
    NAME = "undefined"
    VALUES = (kept((0x06, b""), '{"$undefined":true}'),)


class TestObjectId(BsonType):
    NAME, COLUMN = "objectid", "text"
    VALUES = (
        fits((0x07, OID), OID_TEXT, extended("$oid", OID_TEXT)),
        fits((0x07, bytes(12)), "0" * 24, extended("$oid", "0" * 24)),
        kept(text(OID_TEXT.encode()), f'"{OID_TEXT}"'),
    )


class TestBool(BsonType):
    NAME, COLUMN = "bool", "boolean"
    VALUES = (
        fits((0x08, b"\1"), "true"),
        fits((0x08, b"\0"), "false"),
        kept(text(b"true"), '"true"'),
    )


def _of_years(milliseconds: int, column: str, relaxed: str | None = None) -> Any:
    shown = f'{{"$date":"{relaxed}"}}' if relaxed else f'{{"$date":{{"$numberLong":"{milliseconds}"}}}}'
    return fits(date(milliseconds), column, shown)


class TestDate(BsonType):
    NAME, COLUMN = "date", "timestamp with time zone"
    VALUES = (
        _of_years(1_582_979_415_123, "2020-02-29 12:30:15.123+00", "2020-02-29T12:30:15.123Z"),
        _of_years(0, "1970-01-01 00:00:00+00", "1970-01-01T00:00:00Z"),
        _of_years(-1, "1969-12-31 23:59:59.999+00"),
        _of_years(-62_135_596_800_000, "0001-01-01 00:00:00+00"),
        _of_years(253_402_300_799_999, "9999-12-31 23:59:59.999+00", "9999-12-31T23:59:59.999Z"),
        *(
            kept(date(milliseconds), f'{{"$date":{{"$numberLong":"{milliseconds}"}}}}')
            for milliseconds in (253_402_300_800_000, -62_135_596_800_001, 2**63 - 1, -(2**63))
        ),
    )


class TestNull(BsonType):
    """In `_extra`, so that it is told from a field that is missing."""

    NAME = "null"
    VALUES = (kept((0x0A, b""), "null"),)


class TestRegularExpression(BsonType):
    NAME = "regex"
    VALUES = tuple(
        kept(
            (0x0B, pattern.encode() + b"\0" + options.encode() + b"\0"),
            f'{{"$regularExpression":{{"pattern":"{pattern}","options":"{options}"}}}}',
        )
        for pattern, options in (("^a", "im"), ("^a", "mi"), ("(", ""), ("", "zq"))
    )


class TestDBPointer(BsonType):
    NAME = "dbpointer"
    VALUES = (
        kept((0x0C, string(b"c") + OID), f'{{"$dbPointer":{{"$ref":"c","$id":{{"$oid":"{OID_TEXT}"}}}}}}'),
        kept((0x0C, string(b"c") + bytes(12)), f'{{"$dbPointer":{{"$ref":"c","$id":{{"$oid":"{"0" * 24}"}}}}}}'),
    )


class TestCode(BsonType):
    NAME = "code"
    VALUES = (
        kept((0x0D, string(b"f()")), extended("$code", "f()")),
        kept((0x0D, string(b"a\0b")), '{"$code":{"$utf8":"YQBi"}}', exact=True),
    )


class TestSymbol(BsonType):
    NAME = "symbol"
    VALUES = (
        kept((0x0E, string(b"abc")), extended("$symbol", "abc")),
        kept((0x0E, string(b"\xff")), '{"$symbol":{"$utf8":"/w=="}}'),
    )


class TestCodeWithScope(BsonType):
    NAME = "scoped"
    VALUES = (
        kept(scoped(b"f()", (b"n", integer(1))), '{"$code":"f()","$scope":{"n":{"$numberInt":"1"}}}'),
        kept(scoped(b"f()", (b"n", double(nan))), '{"$code":"f()","$scope":{"n":{"$numberDouble":"NaN"}}}'),
        kept(scoped(b"f()"), '{"$code":"f()","$scope":{}}'),
    )


class TestInt(BsonType):
    NAME, COLUMN = "int", "bigint"
    VALUES = (
        fits(integer(42), "42"),
        fits(integer(2**31 - 1), "2147483647"),
        fits(integer(-(2**31)), "-2147483648"),
        kept(text(b"42"), '"42"'),
    )


class TestTimestamp(BsonType):
    NAME = "timestamp"
    VALUES = tuple(
        kept((0x11, pack("<II", counter, seconds)), f'{{"$timestamp":{{"t":{seconds},"i":{counter}}}}}')
        for seconds, counter in ((1, 2), (2, 1), (0, 1), (2**32 - 1, 2**32 - 1))
    )


class TestLong(BsonType):
    NAME, COLUMN = "long", "bigint"
    VALUES = (
        fits(long(7), "7"),
        fits(long(2**53 + 1), "9007199254740993"),
        fits(long(2**63 - 1), "9223372036854775807"),
        fits(long(-(2**63)), "-9223372036854775808"),
        kept((0x08, b"\1"), "true"),
    )


class TestDecimal128(BsonType):
    NAME, COLUMN = "decimal", "numeric"
    VALUES = (
        fits(decimal("123.4500"), "123.4500", extended("$numberDecimal", "123.4500")),
        fits(decimal("9" * 34), "9" * 34, extended("$numberDecimal", "9" * 34)),
        fits(decimal("1E-6176"), "0." + "0" * 6175 + "1", extended("$numberDecimal", "1E-6176")),
        fits(
            decimal("1E+6144"),
            "1" + "0" * 6144,
            extended("$numberDecimal", "1.000000000000000000000000000000000E+6144"),
        ),
        *(
            kept(decimal(number), extended("$numberDecimal", number))
            for number in ("NaN", "Infinity", "-Infinity", "-0")
        ),
        kept(text(b"1"), '"1"'),
    )


class TestMinKey(BsonType):
    NAME = "minkey"
    VALUES = (kept((0xFF, b""), '{"$minKey":1}'),)


class TestMaxKey(BsonType):
    NAME = "maxkey"
    VALUES = (kept((0x7F, b""), '{"$maxKey":1}'),)


def test_each_type_of_the_specification_has_its_class() -> None:
    """bsonspec.org, version 1.1."""
    types = {value.raw[0] for kind in BsonType.__subclasses__() for value in kind.VALUES}
    assert types == {*range(0x01, 0x14), 0x7F, 0xFF}


@pytest.mark.parametrize("way", WAYS)
def test_a_field_that_is_missing_is_nowhere(way: str, arrived: Arrived) -> None:
    last = arrived.rows[way][-1]
    assert {name for name in last if last[name] is not None} <= {"_id", "_warp_ts", "_extra", "binary inside"}
