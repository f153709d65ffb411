"""`excluded_tables`: what the configuration keeps from being mirrored. Within the caller's transaction."""

from __future__ import annotations

import psycopg

from warp.change import TableRef
from warp.destinations.postgresql.names import target
from warp.metadata import audit, floors, ledger, progress, registry


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
    """Note that a table is excluded no more. If somebody dropped it, it is made anew, as if it had never been made."""
    connection.execute("DELETE FROM cartridge_warp.excluded_tables WHERE schema_name = %s AND table_name = %s", [*ref])
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('shape ' || %s, 0))", [str(ref)])
    there = connection.execute(
        "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s", [*target(ref)]
    ).rowcount
    if not there and registry.current(connection, ref):
        registry.forget(connection, ref, "dropped by hand while it was excluded")
        ledger.forget(connection, ref)
