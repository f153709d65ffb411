"""`excluded_tables`: what the configuration keeps from being mirrored. Within the caller's transaction."""

from __future__ import annotations

import psycopg

from warp.change import TableRef
from warp.metadata import audit, floors, progress


def excluded(connection: psycopg.Connection, schema: str) -> set[str]:
    """The excluded tables of a schema."""
    found = connection.execute("SELECT table_name FROM cartridge_warp.excluded_tables WHERE schema_name = %s", [schema])
    return {table for (table,) in found}


def exclude(connection: psycopg.Connection, ref: TableRef) -> bool:
    """Note that a table is excluded, and give up its snapshot and its block; False: it was noted before."""
    known = floors.lock(connection, ref)
    noted = connection.execute(
        "INSERT INTO cartridge_warp.excluded_tables (schema_name, table_name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [*ref],
    ).rowcount
    if known is not None:
        progress.unblock(connection, ref)
        progress.end_snapshot(connection, ref)
    if noted:
        audit.record(connection, *ref, "table excluded: left as it stands", {})
    return bool(noted)


def include(connection: psycopg.Connection, ref: TableRef) -> None:
    """Note that a table is excluded no more."""
    connection.execute("DELETE FROM cartridge_warp.excluded_tables WHERE schema_name = %s AND table_name = %s", [*ref])
