"""Rows of the metadata tables as the states that the contract speaks of."""

from __future__ import annotations

from typing import Any

from warp.change import TableRef
from warp.metadata.base import Block, SchemaState, SnapshotState, TableState
from warp.sources.base import StreamPoint

TABLES = """
    SELECT known.*, coalesce(chunk.chunks, 0) AS chunks, coalesce(chunk.chunks_loaded, 0) AS chunks_loaded,
           coalesce(chunk.rows_loaded, 0) AS rows_loaded, coalesce(marker.changes_applied, 0) AS changes_applied,
           coalesce(letter.open_letters, 0) AS open_letters
    FROM cartridge_warp.sync_tables AS known
    LEFT JOIN (SELECT schema_name, table_name, count(*) AS chunks, count(finished_at) AS chunks_loaded,
                      sum(rows_loaded) AS rows_loaded
               FROM cartridge_warp.snapshot_chunks GROUP BY 1, 2) AS chunk USING (schema_name, table_name)
    LEFT JOIN (SELECT schema_name, table_name, sum(changes_applied) AS changes_applied
               FROM cartridge_warp.sync_markers GROUP BY 1, 2) AS marker USING (schema_name, table_name)
    LEFT JOIN (SELECT schema_name, table_name, count(*) AS open_letters
               FROM cartridge_warp.dead_letters WHERE state = 'open' GROUP BY 1, 2) AS letter
              USING (schema_name, table_name)
    WHERE known.schema_name = %s ORDER BY known.table_name
"""
"""The tables of one schema, with what is counted elsewhere."""


def schema_state(row: dict[str, Any]) -> SchemaState:
    """A row of `sync_schemas`."""
    return SchemaState(
        name=row["schema_name"],
        start_ts=row["start_ts"],
        checkpoint=StreamPoint(position=row["checkpoint"], ts=row["checkpoint_ts"]),
        checkpointed_at=row["checkpointed_at"],
        advanced_at=row["advanced_at"],
        source_ts=row["source_ts"],
    )


def table_state(row: dict[str, Any]) -> TableState:
    """A row of what `TABLES` asks for."""
    return TableState(
        ref=TableRef(row["schema_name"], row["table_name"]),
        target_name=row["target_name"],
        partitions=row["partitions"],
        snapshot=SnapshotState(row["snapshot"]),
        documents_estimate=row["documents_estimate"],
        chunks=row["chunks"],
        chunks_loaded=row["chunks_loaded"],
        rows_loaded=int(row["rows_loaded"]),
        changes_applied=int(row["changes_applied"]),
        open_letters=row["open_letters"],
        floor=row["floor_ts"],
        settled=row["settled_ts"],
        blocked=Block(reason=row["blocked"], remedy=row["blocked_remedy"], since=row["blocked_at"])
        if row["blocked"]
        else None,
    )
