"""Names that are not made for PostgreSQL, and fields that get no column, in a real one."""

from __future__ import annotations

import psycopg

from tests.integration.tables import TABLE, columns, fitted, key
from warp.change import Delete, Record, TableRef, Write
from warp.destinations.postgresql.destination import PostgresDestination
from warp.values import EPOCH, ObjectIdText, Value

NASTY = 'x"; DROP SCHEMA cartridge_warp CASCADE; --'
ODD_NAMES = (
    NASTY,
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
)


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
            assert destination.rows(ref, shape, [key("a"), key("b")]) == {key("b"): record}
            assert list(destination.keys(ref, shape)) == [[key("b")]]
            assert destination.count(ref, shape) == 1
    assert postgresql.execute("SELECT count(*) FROM cartridge_warp.migrations").fetchone() != (0,)


def test_long_names_get_identifiers_of_their_own(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    refs = [TableRef("shop", "ä" * 60 + end) for end in ("one", "two")]
    for ref in refs:
        shape = fitted(destination, {"n": 1}, ref=ref)
        with destination.transaction() as transaction:
            transaction.upsert(ref, shape, [Write(key(ref.table), 1, {"n": 1})])
    for ref in refs:
        shape = destination.tables("shop")[ref.table]
        assert list(destination.keys(ref, shape)) == [[key(ref.table)]]
    names = postgresql.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r'"
    )
    assert len(names.fetchall()) == 2


def test_fields_beyond_the_columns_are_kept_in_extra(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    record: dict[str, Value] = {f"field_{number}": number for number in range(600)}
    record |= {"": 1, "_id ": 2, "_extra": 3, "_warp_ts": 4, "ctid": 5, "x" * 64: 6, "is_deleted": True, "a\0b": EPOCH}
    record |= {"$utf8:00": "taken", "$oid": ObjectIdText("0" * 24)}
    shape = fitted(destination, record)
    with destination.transaction() as transaction:
        written = transaction.upsert(TABLE, shape, [Write(key("a"), 1, record)])
    assert len(shape.columns) == 500
    assert sum(written.kept.values()) == len(record) - 500
    [row] = destination.rows(TABLE, shape, [key("a")]).values()
    assert row.keys() == record.keys()
    assert {name: value for name, value in row.items() if name in shape.columns} == {
        name: record[name] for name in shape.columns
    }
    [(extra,)] = postgresql.execute(f'SELECT count(*) FROM "{TABLE.schema}"."{TABLE.table}", jsonb_object_keys(_extra)')
    assert extra == len(record) - 500
