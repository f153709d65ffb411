"""Progress inside a transaction of the destination: markers, chunks and tombstones."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from warp.change import Partition, TableRef
from warp.destinations.base import PartitionState
from warp.destinations.postgresql.names import identifier
from warp.metadata.base import SnapshotState
from warp.sources.base import Chunk

_LOCK_MARKER = """
    SELECT position, partitions, ts, floor_ts FROM cartridge_warp.sync_markers
    WHERE schema_name = %s AND table_name = %s AND partition = %s FOR UPDATE SKIP LOCKED
"""
# Asked once the marker is locked: whoever had it just before may have planned a snapshot.
_TABLE_STATE = """
    SELECT snapshot, blocked IS NOT NULL, kept_ts FROM cartridge_warp.sync_tables
    WHERE schema_name = %s AND table_name = %s
"""

_MARKER = "SELECT 1 FROM cartridge_warp.sync_markers WHERE schema_name = %s AND table_name = %s AND partition = %s"


def lock_partition(connection: psycopg.Connection, partition: Partition) -> PartitionState | None:
    """Lock a marker, making it where it is missing; None: another transaction has it."""
    place = [partition.schema, partition.table, partition.number]
    row = connection.execute(_LOCK_MARKER, place).fetchone()
    # An INSERT would wait for whoever has moved the marker and not committed yet, conflict or not.
    if row is None and not connection.execute(_MARKER, place).fetchone() and _make_marker(connection, partition):
        row = connection.execute(_LOCK_MARKER, place).fetchone()
    known = connection.execute(_TABLE_STATE, [*partition.ref]).fetchone()
    if row is None or known is None:
        return None
    position, partitions, ts, floor = row
    snapshot, blocked, kept = known
    return PartitionState(
        position=position,
        partitions=partitions,
        snapshot_open=SnapshotState(snapshot).open,
        ts=ts,
        floor=floor,
        kept=kept,
        blocked=blocked,
    )


def _make_marker(connection: psycopg.Connection, partition: Partition) -> bool:
    """Make a marker where there is none; False: somebody else is making it."""
    alone = connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('marker ' || %s, 0))", [str(partition)]
    ).fetchone()
    if alone is None or not alone[0]:
        return False
    connection.execute(
        "INSERT INTO cartridge_warp.sync_tables (schema_name, table_name, target_name, partitions) "
        "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [partition.schema, partition.table, identifier(partition.table), partition.of],
    )
    # Shared lock: `repartition`, and whoever sets a floor, must see every marker there is.
    connection.execute(
        "INSERT INTO cartridge_warp.sync_markers (schema_name, table_name, partition, partitions, floor_ts) "
        "SELECT schema_name, table_name, %s, partitions, floor_ts FROM cartridge_warp.sync_tables "
        "WHERE schema_name = %s AND table_name = %s FOR SHARE ON CONFLICT DO NOTHING",
        [partition.number, partition.schema, partition.table],
    )
    return True


def repartition(connection: psycopg.Connection, ref: TableRef, before: int, after: int, position: str) -> bool:
    """Set the number of partitions of a table, and one position for all of them; False: not from here."""
    known = connection.execute(
        "SELECT FROM cartridge_warp.sync_tables WHERE schema_name = %s AND table_name = %s AND partitions = %s "
        "FOR UPDATE",
        [*ref, before],
    ).fetchone()
    markers = connection.execute(
        "SELECT position, ts FROM cartridge_warp.sync_markers WHERE schema_name = %s AND table_name = %s FOR UPDATE",
        [*ref],
    ).fetchall()
    if known is None or any(marker > position for marker, _ in markers):
        return False
    connection.execute(
        "UPDATE cartridge_warp.sync_tables SET partitions = %s WHERE schema_name = %s AND table_name = %s",
        [after, *ref],
    )
    # Documents change their partition: what one has applied, each may have.
    newest = max((ts for _, ts in markers), default=0)
    connection.execute(
        "UPDATE cartridge_warp.sync_markers SET partitions = %s, position = %s, ts = %s "
        "WHERE schema_name = %s AND table_name = %s",
        [after, position, newest, *ref],
    )
    connection.execute(
        "INSERT INTO cartridge_warp.sync_markers "
        "(schema_name, table_name, partition, partitions, position, ts, floor_ts) "
        "SELECT schema_name, table_name, number, partitions, %s, %s, floor_ts FROM cartridge_warp.sync_tables, "
        "generate_series(0, partitions - 1) AS number WHERE schema_name = %s AND table_name = %s "
        "ON CONFLICT DO NOTHING",
        [position, newest, *ref],
    )
    return True


def advance(connection: psycopg.Connection, partition: Partition, position: str, ts: int, changes: int) -> None:
    """Move a locked marker."""
    connection.execute(
        "UPDATE cartridge_warp.sync_markers SET position = %s, ts = %s, changes_applied = changes_applied + %s, "
        "updated_at = now() WHERE schema_name = %s AND table_name = %s AND partition = %s AND position <= %s",
        [position, ts, changes, partition.schema, partition.table, partition.number, position],
    )


def lock_chunk(connection: psycopg.Connection, ref: TableRef, chunk: int) -> Chunk | None:
    """Lock a chunk that is to be loaded."""
    row = connection.execute(
        "SELECT lower_bound, upper_bound FROM cartridge_warp.snapshot_chunks "
        "JOIN cartridge_warp.sync_tables USING (schema_name, table_name) "
        "WHERE schema_name = %s AND table_name = %s AND chunk = %s AND finished_at IS NULL AND snapshot = 'loading' "
        "FOR UPDATE OF snapshot_chunks SKIP LOCKED",
        [ref.schema, ref.table, chunk],
    ).fetchone()
    return Chunk(lower=row[0], upper=row[1]) if row else None


def shrink_chunk(
    connection: psycopg.Connection, ref: TableRef, chunk: int, lower: bytes, rows: int, *, first: bytes
) -> None:
    """Move the lower bound of a locked chunk up to what is loaded; what it ended with last time counts once."""
    connection.execute(
        "UPDATE cartridge_warp.snapshot_chunks SET lower_bound = %s, "
        "rows_loaded = rows_loaded + %s - (rows_loaded > 0 AND lower_bound = %s)::int "
        "WHERE schema_name = %s AND table_name = %s AND chunk = %s",
        [lower, rows, first, ref.schema, ref.table, chunk],
    )


def finish_chunk(connection: psycopg.Connection, ref: TableRef, chunk: int) -> None:
    """Mark a locked chunk as loaded."""
    connection.execute(
        "UPDATE cartridge_warp.snapshot_chunks SET finished_at = now() "
        "WHERE schema_name = %s AND table_name = %s AND chunk = %s",
        [ref.schema, ref.table, chunk],
    )


def end_snapshot(connection: psycopg.Connection, ref: TableRef) -> None:
    """Give up what is open of a locked table's snapshot: nobody loads anything of it any more."""
    connection.execute(
        "UPDATE cartridge_warp.sync_tables SET snapshot = 'done', snapshot_finished_at = now() "
        "WHERE schema_name = %s AND table_name = %s AND snapshot IN ('planned', 'loading')",
        [*ref],
    )
    for table in ("snapshot_chunks", "tombstones"):
        connection.execute(
            f"DELETE FROM cartridge_warp.{table} WHERE schema_name = %s AND table_name = %s".encode(), [*ref]
        )


def unblock(connection: psycopg.Connection, ref: TableRef) -> None:
    """Note that a table takes changes again."""
    connection.execute(
        "UPDATE cartridge_warp.sync_tables SET blocked = NULL, blocked_remedy = NULL, blocked_at = NULL "
        "WHERE schema_name = %s AND table_name = %s AND blocked IS NOT NULL",
        [*ref],
    )


def bury(connection: psycopg.Connection, ref: TableRef, keys: Sequence[str], stamps: Sequence[int]) -> None:
    """Leave tombstones, if the snapshot is still open; of two for one key the later counts."""
    # Shared lock: `close_snapshot`, which removes them, waits for these.
    connection.execute(
        "WITH known AS (SELECT FROM cartridge_warp.sync_tables WHERE schema_name = %s AND table_name = %s "
        "AND snapshot IN ('planned', 'loading') FOR SHARE) "
        "INSERT INTO cartridge_warp.tombstones AS held (schema_name, table_name, key, ts) "
        "SELECT %s, %s, gone.key, gone.ts FROM known, unnest(%s::text[], %s::bigint[]) AS gone (key, ts) "
        "ON CONFLICT (schema_name, table_name, md5(key)) DO UPDATE SET ts = greatest(held.ts, excluded.ts)",
        [*ref, *ref, list(keys), list(stamps)],
    )
