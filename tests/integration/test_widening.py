"""Columns that become of another kind, with rows in them: real change stream, lookups, first load, real PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId
from psycopg import sql
from pymongo.database import Database

from tests.support.pipeline import Pipeline
from warp.destinations.postgresql.types import encoders
from warp.evolution.rules import Conflict, Rewrite, Settled
from warp.evolution.shape import Shape
from warp.values import KIND_OF, Kind
from warp.verify import verify_schema

TABLE = "values"

AWKWARD: dict[Kind, list[Any]] = {
    Kind.BOOL: [True, False],
    Kind.INT: [0, -1, 7, Int64(2**53), Int64(-(2**53))],
    Kind.DOUBLE: [
        *(0.1, 2.5, -0.0, 0.0, 1e300, 5e-324, float("nan"), float("inf"), -float("inf")),
        *(1e15, 1234567890123456.0, 1e16, 1.2345678901234567e19, 2.0**63, 2.0**64, -(2.0**63), 123456.789, 1e-7),
    ],
    Kind.DECIMAL: [Decimal128(text) for text in ("1.10", "0E-6176", "1E+6144", "-1E-6176", "0.1", "1E+3")],
    Kind.STRING: ["", "x", "Käse\n\t\\N\"'{}", "8", "null", '"quoted"', '{"$oid":"0123456789abcdef01234567"}', "NaN"],
    Kind.OBJECT_ID: [ObjectId("0123456789abcdef01234567"), ObjectId("0" * 24)],
    Kind.BINARY: [b"", b"\x00\xff\\x", bytes(100)],
    Kind.UUID: [Binary(UUID("00112233-4455-6677-8899-aabbccddeeff").bytes, 4), Binary(bytes(16), 4)],
    Kind.TIMESTAMP: [
        datetime(2020, 2, 29, 12, 30, 15, 123000, UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999000, UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999000, UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
    ],
    Kind.JSON: [
        {},
        [],
        {"a": [1, 2.5, None, "x\\"]},
        [{"at": datetime(2020, 1, 1, tzinfo=UTC)}],
        {"n": Int64(2**60), "none": None},
        [None, {"n": float("nan")}, [float("-inf")]],
    ],
}
"""Values by the kind of column that they ask for."""
ODD: list[Any] = [None, "a\0b", Decimal128("NaN"), Decimal128("-0"), DatetimeMS(2**62), Binary(b"x", 5), {"$oid": 1}]
"""Values that ask for no column, or that no column holds."""
FAR = Int64(2**53 + 1)
ONLY = {"int_decimal": Kind.DECIMAL, "int_text": Kind.STRING, "in't double": Kind.DOUBLE}
"""Fields whose ints meet one other kind only."""
_WHOLE = [2.0, 0.0, 2.0**53, -(2.0**53)]
_HUGE = [1e18, 2.0**62, -(2.0**63)]
_WIDE = [1e22, -1e22, 1e23, 2.0**64, 2.0**112, 2.0**113, -(2.0**113), 1e33, 1e34, 1e35, 1e300, -1.7976931348623157e308]
LET_IN: dict[str, tuple[Kind, list[Any], Kind]] = {
    "doubles in int, double": (Kind.INT, [7, *_WHOLE], Kind.DOUBLE),
    "doubles in int, decimal": (Kind.INT, [7, *_WHOLE, *_HUGE], Kind.DECIMAL),
    "doubles in int": (Kind.INT, [7, *_WHOLE, *_HUGE], Kind.STRING),
    "ints in double": (Kind.DOUBLE, [0.5, 0, 7, 2**53, Int64(-(2**53))], Kind.STRING),
    "numbers in decimal": (
        Kind.DECIMAL,
        [Decimal128("0.5"), 0, 7, Int64(2**63 - 1), Int64(-(2**63)), *_WHOLE, *_HUGE, *_WIDE],
        Kind.STRING,
    ),
}
"""Columns that hold values of other kinds, too, exact there: their own kind, the values, and the kind they meet."""
FIELDS = {kind.value: kind for kind in AWKWARD} | dict.fromkeys(ONLY, Kind.INT)
"""Fields by the kind of their first values."""


def documents(start: int, *, later: bool) -> list[dict[str, Any]]:
    """Documents whose fields hold every value of their own kind, or of all others; no value comes by itself."""
    columns: dict[str, list[Any]] = {}
    for field, (_, values, other) in LET_IN.items():
        columns[field] = AWKWARD[other] if later else values
    for field, kind in FIELDS.items():
        others = [ONLY[field]] if field in ONLY else [other for other in AWKWARD if other is not kind]
        odd = [value for value in ODD if field not in ONLY or not isinstance(value, str)]
        columns[field] = [value for other in others for value in AWKWARD[other]] + odd if later else AWKWARD[kind]
    columns["far"] = [2.5, -0.0] if later else [FAR, 5]
    rows = max(map(len, columns.values()))
    return [
        {"_id": start + row, **{field: values[row] for field, values in columns.items() if row < len(values)}}
        for row in range(rows)
    ]


FIRST, LATER = documents(0, later=False), documents(1000, later=True)
RULES = [(Conflict.EXTRA, Rewrite.SMALL), (Conflict.TEXT, Rewrite.ALWAYS), (Conflict.JSONB, Rewrite.SMALL)]


def identical(pipeline: Pipeline) -> bool:
    """Whether every row is its document."""
    connections = pipeline.connections
    [result] = verify_schema(
        connections.source, connections.destination, pipeline.schema, patience=0, wait=lambda _: None
    )
    assert result.examples == ()
    return result.identical


def shape_of(pipeline: Pipeline) -> Shape:
    """The table's present shape."""
    return pipeline.connections.destination.tables(pipeline.schema)[TABLE]


def follow(pipeline: Pipeline, database: Database[dict[str, Any]], found: Sequence[dict[str, Any]]) -> None:
    """Insert documents, and apply them."""
    database[TABLE].insert_many(found)
    pipeline.follow(TABLE, len(found))


@pytest.fixture(params=RULES, ids=lambda rules: rules[0].value)
def widened(request: pytest.FixtureRequest, pipeline: Pipeline) -> Conflict:
    """The rule for conflicts, which the pipeline has."""
    conflict: Conflict = request.param[0]
    rewrite: Rewrite = request.param[1]
    pipeline.settings = replace(pipeline.settings, conflict=conflict, rewrite=rewrite)
    return conflict


def expected(conflict: Conflict) -> dict[str, Kind]:
    """What each column is in the end."""
    wide = {Conflict.TEXT: Kind.TEXT, Conflict.JSONB: Kind.ANY}.get(conflict)
    kinds = {field: wide or (Kind.DOUBLE if kind is Kind.INT else kind) for field, kind in FIELDS.items()}
    far = wide or Kind.INT
    for field, (kind, _, other) in LET_IN.items():
        kinds[field] = other if other is not Kind.STRING else wide or kind
    return kinds | {"int_decimal": Kind.DECIMAL, "in't double": Kind.DOUBLE, "far": far, "int_text": wide or Kind.INT}


def test_all_that_a_column_lets_in_of_other_kinds_is_among_the_values() -> None:
    let_in = {(kind, KIND_OF[each]) for kind in AWKWARD for each in encoders(kind) if each in KIND_OF}
    present = {
        (kind, KIND_OF[type(value)])
        for kind, values, _ in LET_IN.values()
        for value in values
        if type(value) in KIND_OF
    }
    assert present >= {(kind, other) for kind, other in let_in if kind is not other}


@pytest.mark.parametrize("way", ["stream", "updates", "load"])
def test_rows_stay_their_documents(
    way: str,
    widened: Conflict,
    pipeline: Pipeline,
    database: Database[dict[str, Any]],
    postgresql: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = database[TABLE]
    if way == "load":
        # The rows of the first piece are there when the next ones come.
        monkeypatch.setattr("warp.sources.mongodb.reads.BATCH", len(FIRST))
        table.insert_many([*FIRST, *LATER])
        pipeline.load(TABLE)
    else:
        pipeline.tailer.tick()
        follow(pipeline, database, FIRST)
        first = FIELDS | {field: kind for field, (kind, _, _) in LET_IN.items()} | {"far": Kind.INT}
        assert {name: column.kind for name, column in shape_of(pipeline).columns.items()} == first
        assert identical(pipeline)
        if way == "stream":
            follow(pipeline, database, LATER)
        else:
            for document in LATER:
                table.insert_one({"_id": document["_id"]})
                table.update_one({"_id": document["_id"]}, {"$set": document})
            pipeline.follow(TABLE, 2 * len(LATER))
    assert {name: column.kind for name, column in shape_of(pipeline).columns.items()} == expected(widened)
    assert identical(pipeline)
    if widened is not Conflict.EXTRA:
        converted = columns(postgresql, pipeline, range(len(FIRST)))
    else:
        assert shape_of(pipeline).columns["far"].settled == {Kind.DOUBLE: Settled.NOT_EXACT}
    # And the other way round: what the rows hold gives way to values of the other kinds.
    before = shape_of(pipeline).version
    for one, other in zip(FIRST, LATER, strict=False):
        table.replace_one({"_id": one["_id"]}, {**other, "_id": one["_id"]})
        table.replace_one({"_id": other["_id"]}, {**one, "_id": other["_id"]})
    pipeline.tailer.tick()
    pipeline.follow(TABLE, 2 * len(FIRST))
    assert shape_of(pipeline).version == before, "all of that is settled"
    assert identical(pipeline)
    if widened is not Conflict.EXTRA:
        written = columns(postgresql, pipeline, range(1000, 1000 + len(FIRST)))
        assert written == converted, "a value that was converted stands there as one that is written"


def columns(postgresql: psycopg.Connection, pipeline: Pipeline, keys: range) -> list[list[Any]]:
    """What stands in the columns, but for objects, which jsonb writes otherwise than they came, and for values of
    another kind than their column was, which does not know of which."""
    left_out = {Kind.JSON, *LET_IN}
    names = [column.name for field, column in shape_of(pipeline).columns.items() if field not in left_out]
    query = sql.SQL("SELECT {} FROM {} WHERE _id = ANY(%s) ORDER BY _id").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(pipeline.schema, TABLE)
    )
    return [list(map(_number, row)) for row in postgresql.execute(query, [list(keys)])]


def _number(value: Any) -> Any:
    """Decimals in jsonb, of which there are several ways to write each."""
    return Decimal(value["$numberDecimal"]) if isinstance(value, dict) and "$numberDecimal" in value else value
