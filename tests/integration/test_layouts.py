"""Layouts on their whole way: real change stream, real lookups, real first load, real PostgreSQL."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from pymongo.database import Database

from tests.support import raw_documents
from tests.support.pipeline import Pipeline
from tests.support.properties import with_servers
from tests.unit import raw_bson
from tests.unit.raw_bson import document, string
from warp.change import Key, KeyKind, TableRef
from warp.errors import Fatal, Transient
from warp.evolution.rules import Conflict, Layout, Rewrite
from warp.filters import FieldPatterns, Mask, field_filter
from warp.sources.base import StoredRow
from warp.sources.mongodb.source import MongoSource
from warp.verify import verify_schema

Raw = tuple[int, bytes]
_tables = (f"table{number}" for number in count())
_FORMS: list[dict[str, Any]] = [
    {"flatten_depth": 1},
    {"flatten_depth": 2},
    {"flatten_depth": 3},
    {"layout": Layout.DOCUMENT},
]


def _object(*elements: tuple[bytes, Raw]) -> Raw:
    return 0x03, document(list(elements))


def _array(*items: Raw) -> Raw:
    return 0x04, document([(str(number).encode(), item) for number, item in enumerate(items)])


_ONE, _TWO, _NULL, _NAN = (
    (0x10, struct.pack("<i", 1)),
    (0x10, struct.pack("<i", 2)),
    (0x0A, b""),
    (0x01, struct.pack("<d", float("nan"))),
)
_B1, _C1 = _object((b"b", _ONE)), _object((b"c", _ONE))
_ID, _DIGITS = (0x07, bytes(12)), (0x02, string(b"0" * 24))

DISTINCT: list[list[tuple[bytes, Raw]]] = [
    [],
    *([(b"a", value)] for value in (_ONE, _TWO, _NULL, _NAN, _ID, _DIGITS, _B1, _C1, (0x06, b""))),
    *([(b"a", _object())], [(b"a", _array())], [(b"a", _array(_B1))], [(b"a", _array(_object()))]),
    *([(b"a", _object((b"b", value)))] for value in (_TWO, _NULL, _NAN, _object(), _array(), _C1, _ID, _DIGITS)),
    *([(b"a", _object((b"b", _object((b"c", value)))))] for value in (_TWO, _NULL, _object(), _object((b"d", _ONE)))),
    [(b"a", _object((b"b", _ONE), (b"c", _ONE)))],
    [(b"a", _object((b"b", _ONE), (b"c", _NULL)))],
    [(b"a", _B1), (b"b", _ONE)],
    [(b"a", _object((b"b", _ONE), (b"b", _ONE)))],
    [(b"a", _object((b"b", _ONE), (b"b", _TWO)))],
    [(b"a", _object((b"b", _object((b"c", _ONE), (b"c", _ONE)))))],
    [(b"a", _B1), (b"a", _B1)],
    [(b"a", _B1), (b"a", _C1)],
    [(b"a", _C1), (b"a", _B1)],
    [(b"a", _object((b"", _ONE)))],
    [(b"", _object((b"a", _ONE)))],
    [(b"", _object((b"", _ONE)))],
    [(b"", _ONE)],
    [(b"a", _object((b"_id", _ONE)))],
    [(b"", _object((b"id", _ONE)))],
    [(b"a", _object((b"b.c", _ONE)))],
    [(b"a", _object((b"b_c", _ONE)))],
    *([(name, _ONE)] for name in (b"a.b", b"a_b", b"a.b.c", b"a_b_c", b"$path:a.b", b"$utf8:610062", b"doc", b"\xff")),
    *([(name, _C1)] for name in (b"a.b", b"a_b", b"doc", b"$path:a", b"\xff")),
    [(b"a", _object((b"\xff", _ONE)))],
    [(b"a", _object((b"$oid", _DIGITS)))],
    [(b"a", _object((b"$numberLong", (0x02, string(b"1")))))],
    [(b"a", _object((b"$ref", (0x02, string(b"c")))))],
    [(b"a", _object((b"$ref", (0x02, string(b"c"))), (b"$id", _ONE)))],
    [(b"a", _object((b"$ref", (0x02, string(b"c"))), (b"$id", _ONE), (b"$db", (0x02, string(b"d")))))],
    [(b"a", _object((b"$repeated", _array(_ONE, _TWO))))],
    [(b"a", _ONE), (b"a", _TWO)],
]
"""Fields of documents, none of which is another, with one and another form of the same names."""


def _keys(documents: Sequence[object]) -> list[Key]:
    return [Key(KeyKind.INT, str(number)) for number in range(len(documents))]


def _raw(fields: Sequence[Sequence[tuple[bytes, Raw]]]) -> list[bytes]:
    identities: list[Raw] = [(0x12, struct.pack("<q", number)) for number in range(len(fields))]
    return [document([(b"_id", identity), *each]) for identity, each in zip(identities, fields, strict=True)]


def _rows(pipeline: Pipeline, table: str, keys: Sequence[Key]) -> dict[Key, StoredRow]:
    destination = pipeline.connections.destination
    return destination.rows(TableRef(pipeline.schema, table), keys)


def _verify(pipeline: Pipeline) -> None:
    """Every table has the layout that is configured now."""
    destination, fields = pipeline.connections.destination, pipeline.settings.fields
    results = verify_schema(
        pipeline.connections.source, destination, pipeline.schema, patience=0, fields=lambda _: fields
    )
    assert [result for result in results if not result.identical] == []


def _insert(pipeline: Pipeline, database: Database[dict[str, Any]], table: str, documents: Sequence[bytes]) -> set[int]:
    """Written, and followed by the stream; the numbers of those that MongoDB takes."""
    pipeline.tailer.tick()
    refused = raw_documents.insert(database, table, documents)
    taken = set(range(len(documents))) - refused.keys()
    if taken:
        pipeline.follow(table, len(taken))
    return taken


def _renamed(pipeline: Pipeline, database: Database[dict[str, Any]], table: str) -> str:
    """Another name for the collection, under which it is loaded."""
    name = next(_tables)
    database[table].rename(name)
    pipeline.load(name)
    return name


@pytest.mark.parametrize("form", _FORMS, ids=str)
def test_a_row_is_the_row_of_its_own_document_alone(
    form: dict[str, Any], pipeline: Pipeline, database: Database[dict[str, Any]], source: MongoSource
) -> None:
    pipeline.settings = replace(pipeline.settings, **form)
    keys = _keys(DISTINCT)

    def check(table: str) -> None:
        held, rows = source.fetch(database.name, table, keys), _rows(pipeline, table, keys)
        for key in keys:
            for other in keys:
                same = source.differences(held[key], key, rows[other], pipeline.settings.fields) == ()
                assert same == (key == other), (table, key, other)

    table = next(_tables)
    assert len(_insert(pipeline, database, table, _raw(DISTINCT))) == len(keys)
    check(table)
    database[table].update_many({}, {"$set": {"touched": True}})
    pipeline.follow(table, len(keys))  # each is looked up
    check(table)
    check(_renamed(pipeline, database, table))
    _verify(pipeline)


_NAMES = st.sampled_from((b"a", b"b", b"a", b"a.b", b"a_b", b"", b"$oid", b"\xff", b"x" * 40))
_OBJECTS = st.recursive(
    raw_bson.VALUES,
    lambda inner: st.lists(st.tuples(_NAMES, inner), max_size=3).map(lambda pairs: (0x03, document(pairs))),
    max_leaves=8,
)


@with_servers(8)
@given(st.lists(st.lists(st.tuples(_NAMES, _OBJECTS), max_size=5), min_size=1, max_size=25))
def test_whatever_mongodb_holds_arrives_in_every_layout_and_a_change_of_it_is_seen(
    pipeline: Pipeline,
    database: Database[dict[str, Any]],
    source: MongoSource,
    documents: list[list[tuple[bytes, Raw]]],
) -> None:
    """First by the change stream; then the collection is renamed, so that it is loaded under another name."""
    form: dict[str, Any] = {"flatten_depth": 0, "layout": Layout.COLUMNS, **_FORMS[len(documents) % len(_FORMS)]}
    pipeline.settings = replace(pipeline.settings, **form)
    table = next(_tables)
    taken = _insert(pipeline, database, table, _raw(documents))
    keys = [key for number, key in enumerate(_keys(documents)) if number in taken]
    if not keys:
        return
    _check(pipeline, source, table, keys)
    _check(pipeline, source, _renamed(pipeline, database, table), keys)


def _check(pipeline: Pipeline, source: MongoSource, table: str, keys: Sequence[Key]) -> None:
    held, rows, form = (
        source.fetch(pipeline.schema, table, keys),
        _rows(pipeline, table, keys),
        pipeline.settings.fields,
    )
    assert held.keys() == rows.keys() == set(keys)
    for key, row in rows.items():
        read = held[key]
        assert isinstance(read, dict)
        assert source.differences(read, key, row, form) == ()
        assert source.differences({**read, "another": 1}, key, row, form)
        for field in read.keys() - {"_id"}:
            assert source.differences({**read, field: [read[field]]}, key, row, form)
            assert source.differences({**read, field: {"a": read[field]}}, key, row, form)
            assert source.differences({name: read[name] for name in read if name != field}, key, row, form)


def _table(postgresql: psycopg.Connection, schema: str, table: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The columns with their types, and the rows, both without our own `_warp_ts`."""
    columns = postgresql.execute(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [schema, table],
    ).fetchall()
    query = sql.SQL("SELECT to_jsonb(t) - '_warp_ts' FROM {} AS t ORDER BY _id").format(sql.Identifier(schema, table))
    rows = [row for (row,) in postgresql.execute(query)]
    return {name: kind for name, kind in columns if name != "_warp_ts"}, rows


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def test_objects_are_columns_down_to_the_depth(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.settings = replace(pipeline.settings, flatten_depth=2)
    pipeline.tailer.tick()
    database["people"].insert_many(
        [
            {"_id": 1, "name": "Ann", "address": {"city": "Ulm", "geo": {"at": {"lat": 48.4}, "ok": True}}},
            {"_id": 2, "address": "unknown", "address_city": "Bonn"},
            {"_id": 3, "address": {"city": None, "geo": {}}, "tags": [{"a": 1}]},
            {"_id": 4, "address": {"city": 5, "a.b": None}},
            {"_id": 5, "address": {}},
        ]
    )
    pipeline.follow("people", 5)
    columns, rows = _table(postgresql, database.name, "people")
    other = next(name for name in columns if name.startswith("address_city_"))
    assert columns == {
        "_id": "bigint",
        "_extra": "jsonb",
        "name": "text",
        "address_city": "text",
        "address_geo_at": "jsonb",
        "address_geo_ok": "boolean",
        "address": "text",
        other: "text",
        "address_geo": "jsonb",
        "tags": "jsonb",
    }
    path = "61646472657373" + "00" + "612e62"  # address, NUL, a.b
    assert [_without_nulls(row) for row in rows] == [
        {"_id": 1, "name": "Ann", "address_city": "Ulm", "address_geo_at": {"lat": 48.4}, "address_geo_ok": True},
        {"_id": 2, "address": "unknown", other: "Bonn"},
        {"_id": 3, "address_geo": {}, "tags": [{"a": 1}], "_extra": {"$path:address.city": None}},
        {"_id": 4, "_extra": {"$path:address.city": {"$numberLong": "5"}, f"$utf8:{path}": None}},
        {"_id": 5, "_extra": {"address": {}}},
    ]
    _verify(pipeline)


def test_a_document_is_whole_in_one_column(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.settings = replace(pipeline.settings, layout=Layout.DOCUMENT, max_columns=1)
    pipeline.tailer.tick()
    # jsonb has no -0.0; and without anything else, the table has its column all the same.
    database["people"].insert_one({"_id": 1, "n": -0.0, "doc": {"doc": 1}})
    pipeline.follow("people", 1)
    assert _table(postgresql, database.name, "people")[0] == {"_id": "bigint", "_extra": "jsonb", "doc": "jsonb"}
    database["people"].insert_many([{"_id": 2}, {"_id": 3, "_extra": None, "n": 1, "doc": {"at": [1.5, None]}}])
    database["people"].insert_one({"_id": 4, "n": float("nan"), "list": [None, {"n": float("inf")}]})
    pipeline.follow("people", 3)
    columns, rows = _table(postgresql, database.name, "people")
    assert columns == {"_id": "bigint", "_extra": "jsonb", "doc": "jsonb"}
    zero, nan = {"$numberDouble": "-0.0"}, {"$numberDouble": "NaN"}
    assert rows == [
        {"_id": 1, "doc": None, "_extra": {"doc": {"n": zero, "doc": {"doc": {"$numberInt": "1"}}}}},
        {"_id": 2, "doc": {}, "_extra": None},
        {"_id": 3, "doc": {"_extra": None, "n": 1, "doc": {"at": [1.5, None]}}, "_extra": None},
        {"_id": 4, "doc": {"n": nan, "list": [None, {"n": {"$numberDouble": "Infinity"}}]}, "_extra": None},
    ]
    _verify(pipeline)


@pytest.mark.parametrize("form", [{"flatten_depth": 1}, {"layout": Layout.DOCUMENT}], ids=str)
def test_filters_come_before_the_layout(
    form: dict[str, Any], pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    patterns = FieldPatterns(exclude=("address.street", "notes"), mask=(("address.city", Mask.REDACT),))
    pipeline.settings = replace(pipeline.settings, **form, filter=field_filter((patterns,), ""))
    pipeline.tailer.tick()
    person = {"address": {"street": "secret", "city": "secret", "zip": 1}, "notes": {"a": "secret"}}
    database["people"].insert_many([{"_id": 1, **person}, {"_id": 2, "address": {"street": "secret"}}])
    pipeline.follow("people", 2)
    columns, rows = _table(postgresql, database.name, "people")
    if "layout" in form:
        assert [row["doc"] for row in rows] == [{"address": {"city": "redacted", "zip": 1}}, {"address": {}}]
    else:
        assert columns.keys() == {"_id", "_extra", "address_city", "address_zip", "address"}
        assert [_without_nulls(row) for row in rows] == [
            {"_id": 1, "address_city": "redacted", "address_zip": 1},
            {"_id": 2, "address": {}},
        ]
    _verify(pipeline)


def test_a_table_of_another_layout_is_blocked_until_it_is_made_anew(
    pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.tailer.tick()
    database["people"].insert_one({"_id": 1, "a": {"b": 1}})
    pipeline.follow("people", 1)
    before = _table(postgresql, database.name, "people")

    pipeline.settings = replace(pipeline.settings, flatten_depth=1)
    database["people"].insert_one({"_id": 2, "a": {"b": 2}})
    with pytest.raises(Fatal, match="was made with layout: columns, flatten_depth: 0, and the configuration says"):
        pipeline.follow("people", 1)
    pipeline.restart("people")
    database["people"].insert_one({"_id": 3})
    pipeline.restart()
    with pytest.raises(Fatal, match="was made with"):  # read again, but not dropped
        pipeline.load("people")
    assert _table(postgresql, database.name, "people") == before

    pipeline.restart("people")
    database["people"].insert_one({"_id": 4, "a": 5})
    postgresql.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(database.name, "people")))
    pipeline.restart()
    with pytest.raises(Transient):  # from a worker that knows the table from before, and forgets it by that
        pipeline.load("people")
    pipeline.load("people")
    columns, rows = _table(postgresql, database.name, "people")
    assert columns == {"_id": "bigint", "_extra": "jsonb", "a_b": "bigint", "a": "bigint"}
    assert [(row["a"], row["a_b"]) for row in rows] == [(None, 1), (None, 2), (None, None), (5, None)]
    _verify(pipeline)


@pytest.mark.parametrize("conflict", [Conflict.TEXT, Conflict.JSONB])
def test_a_column_of_an_objects_field_becomes_another_as_any_column_does(
    conflict: Conflict, pipeline: Pipeline, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    pipeline.settings = replace(pipeline.settings, flatten_depth=1)
    pipeline.tailer.tick()
    values = [1, "x", [1.5], {}, True, None]
    database["people"].insert_many([{"_id": number, "a": {"b.c": value}} for number, value in enumerate(values)])
    pipeline.follow("people", len(values))
    assert _table(postgresql, database.name, "people")[0]["a_b.c"] == "bigint"
    pipeline.settings = replace(pipeline.settings, conflict=conflict, rewrite=Rewrite.ALWAYS)
    database["people"].insert_one({"_id": len(values), "a": {"b.c": "y"}})
    pipeline.follow("people", 1)
    columns, rows = _table(postgresql, database.name, "people")
    assert columns["a_b.c"] == conflict.value
    assert rows[-1]["a_b.c"] == "y"
    _verify(pipeline)
