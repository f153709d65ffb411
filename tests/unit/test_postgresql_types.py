"""Values as COPY text of a column: exactly, or not at all."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp.change import Key, KeyKind, Record, Write
from warp.destinations.base import Written
from warp.destinations.postgresql.rows import lines
from warp.destinations.postgresql.types import NULL, SQL_TYPES, encoders, escape, readable
from warp.evolution.shape import Column, Shape
from warp.testing.documents import JsonStructured
from warp.values import Kind, ObjectIdText, Opaque, Value


def _encoded(kind: Kind, value: Value) -> str | None:
    encoder = encoders(kind).get(value.__class__)
    return None if encoder is None else encoder(value)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.BOOL, True, "t"),
        (Kind.BOOL, False, "f"),
        (Kind.BOOL, 1, None),
        (Kind.INT, -8, "-8"),
        (Kind.INT, 8.0, "8"),
        (Kind.INT, 8.5, None),
        (Kind.INT, -0.0, None),
        (Kind.INT, 2.0**63, None),
        (Kind.INT, -(2.0**63), str(-(2**63))),
        (Kind.INT, float("nan"), None),
        (Kind.INT, float("inf"), None),
        (Kind.INT, True, None),
        (Kind.INT, "8", None),
        (Kind.INT, Decimal(8), None),
        (Kind.DOUBLE, 0.1, "0.1"),
        (Kind.DOUBLE, float("nan"), "nan"),
        (Kind.DOUBLE, float("-inf"), "-inf"),
        (Kind.DOUBLE, -0.0, "-0.0"),
        (Kind.DOUBLE, 2**53, str(2**53)),
        (Kind.DOUBLE, 2**53 + 1, None),
        (Kind.DOUBLE, Decimal("0.1"), None),
        (Kind.DECIMAL, Decimal("1.10"), "1.10"),
        (Kind.DECIMAL, 8, "8"),
        (Kind.DECIMAL, 0.5, None),
        (Kind.DECIMAL, 2.0**64, str(2**64)),
        (Kind.DECIMAL, -0.0, None),
        (Kind.DECIMAL, float("inf"), None),
        (Kind.STRING, "plain", "plain"),
        (Kind.STRING, "a\tb\nc\\d\re", "a\\tb\\nc\\\\d\\re"),
        (Kind.STRING, "\\N", "\\\\N"),
        (Kind.STRING, "a\0b", None),
        (Kind.STRING, "\udc80", None),
        (Kind.STRING, "", ""),
        (Kind.STRING, ObjectIdText("0" * 24), None),
        (Kind.OBJECT_ID, ObjectIdText("0" * 24), "0" * 24),
        (Kind.OBJECT_ID, "0" * 24, None),
        (Kind.BINARY, b"\x00\xff", "\\\\x00ff"),
        (Kind.BINARY, b"", "\\\\x"),
        (Kind.UUID, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Kind.UUID, b"x", None),
        (Kind.TIMESTAMP, datetime(2020, 1, 2, 3, 4, 5, 6000), "2020-01-02 03:04:05.006000+00"),
        (Kind.TIMESTAMP, "2020-01-02", None),
        (Kind.JSON, JsonStructured('{"a":"\\n"}'), '{"a":"\\\\n"}'),
        (Kind.JSON, "text", None),
        (Kind.JSON, None, None),
        (Kind.STRING, Opaque(b"1", "odd"), None),
        (Kind.TEXT, "a\tb", "a\\tb"),
        (Kind.TEXT, 8, None),
        (Kind.ANY, True, "true"),
        (Kind.ANY, 2**63 - 1, str(2**63 - 1)),
        (Kind.ANY, 1.5, "1.5"),
        (Kind.ANY, -0.0, None),
        (Kind.ANY, float("nan"), None),
        (Kind.ANY, 1e16, None),
        (Kind.ANY, 2.0**64, "1.8446744073709552e+19"),
        (Kind.ANY, Decimal("1.10"), '{"$numberDecimal":"1.10"}'),
        (Kind.ANY, 'a"\n', '"a\\\\"\\\\n"'),
        (Kind.ANY, "a\0b", None),
        (Kind.ANY, "\udc80", None),
        (Kind.ANY, ObjectIdText("0" * 24), '{"$oid":"' + "0" * 24 + '"}'),
        (Kind.ANY, b"\x01", '{"$binary":{"base64":"AQ==","subType":"00"}}'),
        (Kind.ANY, UUID(int=0), '{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAA==","subType":"04"}}'),
        (Kind.ANY, datetime(2020, 1, 2), '{"$date":"2020-01-02T00:00:00Z"}'),
        (Kind.ANY, datetime(1969, 12, 31, 23, 59, 59), '{"$date":{"$numberLong":"-1000"}}'),
        (Kind.ANY, JsonStructured("[1]"), "[1]"),
        (Kind.ANY, Opaque(b"1", "odd"), None),
    ],
)
def test_a_value_fits_exactly_or_not_at_all(kind: Kind, value: Value, text: str | None) -> None:
    assert _encoded(kind, value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (-8, "-8"),
        (8.0, "8"),
        (-0.0, "-0"),
        (1e15, "1e+15"),
        (1234567890123456.0, "1.234567890123456e+15"),
        (1e16, "1e+16"),
        (float("-inf"), "-Infinity"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.10"), "1.10"),
        (ObjectIdText("0" * 24), "0" * 24),
        (b"\x00\xff", "\\\\x00ff"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2020, 1, 2), "2020-01-02T00:00:00.000Z"),
        (JsonStructured('{"a":"\\n"}'), '{"a":"\\\\n"}'),
        (Opaque(b"1", "odd"), None),
        (None, None),
    ],
)
def test_what_is_no_string_can_be_read_in_a_column_of_texts(value: Value, text: str | None) -> None:
    assert readable(value) == text


def test_every_kind_has_a_type_and_encoders() -> None:
    for kind in Kind:
        assert SQL_TYPES[kind]
        assert encoders(kind)


@given(st.text())
def test_escaped_text_is_one_cell_and_comes_back(text: str) -> None:
    cell = escape(text)
    assert not set("\t\n\r") & set(cell)
    back, at = [], 0
    while at < len(cell):
        if cell[at] == "\\":
            back.append({"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}[cell[at + 1]])
            at += 1
        else:
            back.append(cell[at])
        at += 1
    assert "".join(back) == text
    assert cell != NULL


@given(st.floats(), st.integers())
def test_numbers_in_columns_of_the_other_kind_keep_their_value(double: float, whole: int) -> None:
    in_int, in_double = _encoded(Kind.INT, double), _encoded(Kind.DOUBLE, whole)
    assert in_int is None or int(in_int) == double
    assert in_double is None or (float(in_double) == whole and int(float(in_double)) == whole)


def _lines(shape: Shape, *records: Record) -> tuple[list[str], Counter[tuple[str, str]]]:
    written = Written()
    writes = [Write(Key(KeyKind.INT, str(number)), 7, record) for number, record in enumerate(records)]
    return list(lines(shape, writes, written)), written.kept


def _shape(**kinds: Kind) -> Shape:
    columns = {name: Column(name=name, kind=kind) for name, kind in kinds.items()}
    return Shape(version=1, key_kind=KeyKind.INT, columns=columns)


def test_a_line_has_key_time_extra_and_the_columns_in_order() -> None:
    found, kept = _lines(_shape(a=Kind.INT, b=Kind.STRING), {"b": "x", "a": 1}, {}, {"b": "y\tz"})
    assert found == ["0\t7\t\\N\t1\tx", "1\t7\t\\N\t\\N\t\\N", "2\t7\t\\N\t\\N\ty\\tz"]
    assert kept == {}


def test_what_does_not_fit_is_kept_exactly_and_counted() -> None:
    record: Record = {"a": "text", "b": None, "c": 1.5, "d": Opaque(b'{"$minKey":1}', "bson_type")}
    (line,), kept = _lines(_shape(a=Kind.INT, b=Kind.INT), record)
    assert line.split("\t") == [
        "0",
        "7",
        '{"a":"text","b":null,"c":{"$numberDouble":"1.5"},"d":{"$minKey":1}}',
        NULL,
        NULL,
    ]
    assert kept == {("a", "does_not_fit"): 1, ("b", "null"): 1, ("c", "no_column"): 1, ("d", "bson_type"): 1}
