"""Rows that go because their whole table went, or because a snapshot did not meet them. One table, one transaction."""

from __future__ import annotations

import psycopg
from psycopg import sql

from warp.change import TableRef, cluster_seconds
from warp.destinations.base import OnDrop
from warp.destinations.postgresql import history
from warp.destinations.postgresql.ddl import exists, limit_lock_waits
from warp.destinations.postgresql.names import target
from warp.evolution.rules import Layout
from warp.evolution.shape import Shape
from warp.metadata import audit, floors, progress, registry


def drop(connection: psycopg.Connection, ref: TableRef, ts: int, on_drop: OnDrop, *, soft: bool, cause: str) -> bool:
    """See `warp.destinations.base.Destination.drop`; within the caller's transaction."""
    known = floors.lock(connection, ref)
    if known is None or max(known) >= ts:
        return False
    rows = 0
    # No change may come any more that would show whether the table takes changes; if one comes, it does show it.
    progress.unblock(connection, ref)
    shape = registry.current(connection, ref)
    keeps_history = shape is not None and shape.layout is Layout.HISTORY
    if on_drop is OnDrop.KEEP or keeps_history:
        floors.keep(connection, ref, ts)
        if keeps_history and exists(connection, ref):
            rows = history.end_dropped(connection, ref, ts)
    else:
        floors.raise_to(connection, ref, ts)
        # What was there before is void, and what comes after comes by the stream.
        progress.end_snapshot(connection, ref)
        # As deletes that leave tombstones do: a chunk must not bring back what is deleted here.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(ref)])
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('shape ' || %s, 0))", [str(ref)])
        # As many rows as there are: no time is too long for that.
        connection.execute("SET LOCAL statement_timeout = 0")
        shape = registry.current(connection, ref)
        if shape and exists(connection, ref):
            rows = _remove(connection, ref, shape, ts, on_drop, soft=soft)
        elif shape and on_drop is OnDrop.DROP:
            registry.forget(connection, ref, "dropped by hand, and then by the source")
    audit.record(connection, *ref, f"source table dropped: {on_drop}", {"cause": cause, "ts": ts, "rows": rows})
    return True


def _remove(
    connection: psycopg.Connection, ref: TableRef, shape: Shape, ts: int, on_drop: OnDrop, *, soft: bool
) -> int:
    table = sql.Identifier(*target(ref))
    if on_drop is OnDrop.TRUNCATE and soft and shape.soft_delete:
        return connection.execute(_MARK.format(table=table, ts=sql.Literal(ts), stamp=_stamp(ts))).rowcount
    if on_drop is OnDrop.DROP and (rows := _drop_table(connection, ref, table, ts)) is not None:
        return rows
    older = sql.SQL("DELETE FROM {} WHERE _warp_ts < {}").format(table, sql.Literal(ts))
    return connection.execute(older).rowcount


def _drop_table(connection: psycopg.Connection, ref: TableRef, table: sql.Identifier, ts: int) -> int | None:
    """How many rows went with the table; None: it stays, for newer rows, or for views that somebody made on it."""
    limit_lock_waits(connection)
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table))
    counted = sql.SQL("SELECT count(*), count(*) FILTER (WHERE _warp_ts >= {}) FROM {}").format(sql.Literal(ts), table)
    [(rows, newer)] = connection.execute(counted).fetchall()
    if newer:
        return None
    try:
        with connection.transaction():
            connection.execute(sql.SQL("DROP TABLE {}").format(table))
            registry.forget(connection, ref, "the source dropped it")
    except psycopg.errors.DependentObjectsStillExist:
        return None
    return int(rows)


_MARK = sql.SQL(
    "UPDATE {table} SET is_deleted = true, deleted_at = {stamp}, _warp_ts = {ts} "
    "WHERE _warp_ts < {ts} AND NOT is_deleted"
)


def sweep(connection: psycopg.Connection, ref: TableRef, limit: int, *, soft: bool) -> int:
    """See `warp.destinations.base.Destination.sweep`; within the caller's transaction."""
    shape = registry.current(connection, ref)
    row = connection.execute(_LOADED, [*ref]).fetchone()
    if shape is None or row is None or row[0] <= row[1]:
        return 0
    floor, kept = row
    if shape.layout is Layout.HISTORY:
        return _swept(connection, ref, history.sweep(connection, ref, floor, limit), floor)
    soft = soft and shape.soft_delete
    statement = (_SWEEP_SOFTLY if soft else _SWEEP).format(
        table=sql.Identifier(*target(ref)),
        swept=_SWEPT.format(
            kept=sql.Literal(kept), floor=sql.Literal(floor), alive=sql.SQL("AND NOT is_deleted" if soft else "")
        ),
        limit=sql.Literal(limit),
        floor=sql.Literal(floor),
        stamp=_stamp(floor),
    )
    connection.execute("SET LOCAL statement_timeout = 0")
    return _swept(connection, ref, connection.execute(statement).rowcount, floor)


def _swept(connection: psycopg.Connection, ref: TableRef, rows: int, floor: int) -> int:
    if rows:
        audit.record(connection, *ref, "rows swept", {"rows": rows, "ts": floor})
    return rows


# Replaced again since, a table has rows that are older than its floor because nothing is loaded yet.
_LOADED = """
    SELECT floor_ts, kept_ts FROM cartridge_warp.sync_tables AS known
    WHERE schema_name = %s AND table_name = %s AND snapshot = 'loading' AND NOT EXISTS (
        SELECT FROM cartridge_warp.snapshot_chunks AS chunk WHERE chunk.schema_name = known.schema_name
        AND chunk.table_name = known.table_name AND chunk.finished_at IS NULL)
"""
_SWEPT = sql.SQL("_warp_ts >= {kept} AND _warp_ts < {floor} {alive}")
# The condition twice: a row may have been written anew since it was found.
_FOUND = "WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {swept} LIMIT {limit})) AND {swept}"
_SWEEP = sql.SQL(f"DELETE FROM {{table}} {_FOUND}")
_SWEEP_SOFTLY = sql.SQL(
    f"UPDATE {{table}} SET is_deleted = true, deleted_at = {{stamp}}, _warp_ts = {{floor}} {_FOUND}"
)


def _stamp(ts: int) -> sql.Composed:
    return sql.SQL("to_timestamp({})").format(sql.Literal(cluster_seconds(ts)))
