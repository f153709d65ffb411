"""Names that are not made for PostgreSQL, in a real one: of fields, collections and databases."""

from __future__ import annotations

import psycopg
import pytest

from tests.integration.tables import TABLE, columns, fitted, key
from warp.change import Delete, Partition, Record, TableRef, Write
from warp.destinations.postgresql.destination import PostgresDestination
from warp.destinations.postgresql.names import identifier, target
from warp.evolution.infer import Seen
from warp.evolution.naming import RESERVED, column_name
from warp.evolution.rules import Rules
from warp.sources.base import SourceTable, StreamPoint
from warp.values import EPOCH, Value

NASTY = 'x"; DROP SCHEMA cartridge_warp CASCADE; --'
ODD_NAMES = (
    NASTY,
    '"; DROP TABLE x; --',
    "%s",
    "%",
    "a.b",
    "Größe",
    "SELECT",
    "with space",
    "'quoted'",
    "tab\there",
    "$x",
    "{}",
    "_ID",
    "a\\b",
    "Case",
    "case",
    "held",
    "new",
    "gone",
    "excluded",
)
ILLEGAL_NAMES = (*sorted(RESERVED - {"_id"}), "", "x" * 64, "x" * 63 + "y", "ä" * 40, "a\0b", "\udcff", "$utf8:00")
HASHED = column_name("ctid", ())
"""As a field's own name."""


def test_names_are_quoted_whatever_they_are(destination: PostgresDestination, postgresql: psycopg.Connection) -> None:
    record: Record = {name: number for number, name in enumerate(ODD_NAMES)}
    for schema in ("Shop-1", "Größe", "x'; --"):
        for table in (NASTY, "%s", "UPPER", "dots.and.more", "pg_class"):
            ref = TableRef(schema, table)
            shape = fitted(destination, record, ref=ref)
            with destination.transaction() as transaction:
                transaction.lock_chunk(ref, 1)
                assert transaction.shape(ref) == shape
                transaction.upsert(ref, shape, [Write(key("a"), 1, record), Write(key("b"), 1, {})])
                transaction.load(ref, shape, [Write(key("b"), 2, record)])
                transaction.delete(ref, shape, [Delete(key("a"), 3)], soft=False, tombstones=True)
            assert columns(postgresql, ref).keys() >= set(ODD_NAMES)
            assert destination.rows(ref, [key("a"), key("b")]) == {key("b"): record}
            assert list(destination.keys(ref)) == [[key("b")]]
            assert destination.count(ref) == 1
    assert postgresql.execute("SELECT count(*) FROM cartridge_warp.migrations").fetchone() != (0,)


@pytest.mark.parametrize("write", ["insert", "update", "load"])
def test_names_that_are_no_columns_get_columns_all_the_same(
    write: str, destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    record: dict[str, Value] = {name: number for number, name in enumerate((*ILLEGAL_NAMES, HASHED))}
    before: Record = dict.fromkeys(record, -1) if write == "update" else {}
    fitted(destination, before, dict(list(record.items())[::-1]))
    shape = fitted(destination, record)
    with destination.transaction() as transaction:
        assert transaction.shape(TABLE) == shape
        put = transaction.load if write == "load" else transaction.upsert
        if before:
            transaction.upsert(TABLE, shape, [Write(key("a"), 1, before)])
        written = put(TABLE, shape, [Write(key("a"), 2, record)])
    assert (written.upserted, written.kept) == (1, {})
    assert destination.rows(TABLE, [key("a")]) == {key("a"): record}
    assert shape.columns.keys() == record.keys()
    assert shape.renamed.keys() >= set(ILLEGAL_NAMES) - {"$utf8:00", "a\0b"}
    assert columns(postgresql).keys() - {"_id", "_warp_ts", "_extra"} == {each.name for each in shape.columns.values()}


def test_the_mapping_stays_and_is_read_back(
    destination: PostgresDestination, another: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    first = fitted(destination, {"ctid": 1, "a\0b": 2, "\udcff": 3})
    wider = fitted(another, {HASHED: 4, "x" * 80: 5})
    assert wider.columns.items() >= first.columns.items()
    assert (wider.columns["ctid"].name, wider.columns[HASHED].name == HASHED) == (HASHED, False)
    assert destination.tables(TABLE.schema)[TABLE.table] == wider
    softer = destination.evolve(TABLE, _nothing(), Rules(soft_delete=True), cause="configured").after
    assert (softer.columns, "is_deleted" in columns(postgresql)) == (wider.columns, True)


def _nothing() -> Seen:
    seen = Seen()
    seen.add_keys([key("any")])
    return seen


def test_what_does_not_fit_is_kept_under_the_fields_own_name(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    shape = fitted(destination, {"ctid": 1, "a\0b": EPOCH, "\udcff": 1})
    record: Record = {"ctid": "text", "a\0b": None, "\udcff": "text"}
    with destination.transaction() as transaction:
        written = transaction.upsert(TABLE, shape, [Write(key("a"), 1, record)])
    assert written.kept == {("ctid", "does_not_fit"): 1, ("a\0b", "null"): 1, ("\udcff", "does_not_fit"): 1}
    [row] = destination.rows(TABLE, [key("a")]).values()
    assert row.keys() == record.keys()
    [(extra,)] = postgresql.execute('SELECT array_agg(k) FROM "shop"."orders", jsonb_object_keys(_extra) AS k')
    assert sorted(extra) == ["$path:a.b", "$utf8:ff", "ctid"]


def test_long_and_reserved_names_get_identifiers_of_their_own(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    long = "ä" * 60
    tables = [long + "one", long + "two", identifier(long + "one"), "orders", "orders_pkey", "_orders", "ORDERS"]
    tables += ["x" * 63 + "_pkey", "x" * 63, identifier("x" * 63 + "_pkey")]
    metadata = destination.metadata
    metadata.begin_schema("shop", StreamPoint(position="A", ts=1), [_source_table(tables[0])], {tables[0]: 1})
    metadata.add_tables("shop", dict.fromkeys(tables[:-1], 1))
    with destination.transaction() as transaction:
        assert transaction.lock_partition(Partition("shop", tables[-1], 0, 1)) is not None
    for table in tables:
        ref = TableRef("shop", table)
        shape = fitted(destination, {"n": 1}, ref=ref)
        with destination.transaction() as transaction:
            transaction.upsert(ref, shape, [Write(key(table), 1, {"n": 1})])
    for table in tables:
        ref = TableRef("shop", table)
        assert list(destination.keys(ref)) == [[key(table)]]
    known = {state.ref.table: state.target_name for state in metadata.tables("shop")}
    assert known == {table: target(TableRef("shop", table))[1] for table in tables}
    names = postgresql.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r'"
    )
    assert {name for (name,) in names} == set(known.values())
    assert len(set(known.values())) == len(tables)


def _source_table(name: str) -> SourceTable:
    return SourceTable(name=name, documents=1, size_bytes=1)


@pytest.mark.parametrize(
    "schema", ["cartridge_warp", "_cartridge_warp", "pg_catalog", "pg_x", "information_schema", "public"]
)
def test_databases_whose_names_are_taken_are_mirrored_beside(
    schema: str, destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    for table in ("sync_tables", "pg_class", "tables"):
        ref = TableRef(schema, table)
        shape = fitted(destination, {"n": 1}, ref=ref)
        with destination.transaction() as transaction:
            transaction.upsert(ref, shape, [Write(key("a"), 1, {"n": 1})])
        assert destination.rows(ref, [key("a")]) == {key("a"): {"n": 1}}
    where = postgresql.execute(
        "SELECT DISTINCT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'tables'"
    )
    mirrored = {name for (name,) in where} - {"information_schema"}
    assert mirrored == {"public" if schema == "public" else f"_{schema}"}
    destination.require_migrated()
