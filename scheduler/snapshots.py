"""First loads: planned as chunks in PostgreSQL, handed to the workers a few at a time, closed when all are loaded."""

from __future__ import annotations

from uuid import uuid4

from warp.change import TableRef
from warp.metadata.base import Metadata, SnapshotState
from warp.monitoring.logging import get_logger
from warp.sources.base import Source
from warp.transport.base import Wakeups, load_wakeup

CHUNK_DOCUMENTS = 25_000
"""Documents in one chunk: small enough to be shared among workers, large enough not to be many."""
CHUNKS_AT_ONCE = 8
"""Chunks of one table that wait for workers or are being loaded."""


class Snapshots:
    """Keeps the first loads of one schema going. `tick` is harmless however often it is called and by whom."""

    def __init__(self, schema: str, source: Source, metadata: Metadata, wakeups: Wakeups) -> None:
        self._schema = schema
        self._source = source
        self._metadata = metadata
        self._wakeups = wakeups
        self._log = get_logger(__name__).bind(schema=schema)

    def tick(self) -> bool:
        """One round; returns whether a first load is still open."""
        is_open = False
        for table in self._metadata.tables(self._schema):
            if table.snapshot is SnapshotState.PLANNED:
                self._plan(table.ref)
            if table.snapshot.open:
                is_open |= not self._go_on(table.ref)
        return is_open

    def _plan(self, ref: TableRef) -> None:
        chunks = list(self._source.split(ref.schema, ref.table, CHUNK_DOCUMENTS))
        if self._metadata.add_chunks(ref, chunks):
            self._log.info("first load planned", table=ref.table, chunks=len(chunks))

    def _go_on(self, ref: TableRef) -> bool:
        """Wake workers for what is missing; True: nothing was, and the snapshot is closed."""
        missing = self._metadata.missing_chunks(ref, CHUNKS_AT_ONCE)
        if missing:
            self._wakeups.revive([load_wakeup(ref, chunk) for chunk in missing], uuid4().hex[:16])
            return False
        if self._metadata.close_snapshot(ref):
            self._log.info("first load finished", table=ref.table)
        return True
