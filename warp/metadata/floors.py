"""Floors of tables: the cluster time at which the source dropped or replaced one, before which everything is void.

A floor lies on the markers, too: a step that locks one sees a floor that was set just before. Locks are taken in the
order in which a step takes them, markers first.
"""

from __future__ import annotations

import psycopg

from warp.change import TableRef


def lock(connection: psycopg.Connection, ref: TableRef) -> tuple[int, int] | None:
    """Keep steps off a table until the end of the transaction; its floor, and before when rows are kept.

    None: the table is not known.
    """
    connection.execute(
        "SELECT FROM cartridge_warp.sync_markers WHERE schema_name = %s AND table_name = %s FOR UPDATE", [*ref]
    )
    row = connection.execute(
        "SELECT floor_ts, kept_ts FROM cartridge_warp.sync_tables WHERE schema_name = %s AND table_name = %s "
        "FOR UPDATE",
        [*ref],
    ).fetchone()
    return (row[0], row[1]) if row else None


def raise_to(connection: psycopg.Connection, ref: TableRef, ts: int) -> None:
    """Set the floor of a locked table."""
    for table in ("sync_tables", "sync_markers"):
        connection.execute(
            f"UPDATE cartridge_warp.{table} SET floor_ts = %s WHERE schema_name = %s AND table_name = %s".encode(),
            [ts, *ref],
        )


def keep(connection: psycopg.Connection, ref: TableRef, ts: int) -> None:
    """Note that rows from before `ts` are kept."""
    connection.execute(
        "UPDATE cartridge_warp.sync_tables SET kept_ts = %s WHERE schema_name = %s AND table_name = %s", [ts, *ref]
    )
