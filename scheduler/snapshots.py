"""First loads: planned as chunks in PostgreSQL, handed to the workers a few at a time, closed when all are loaded.

A table that is read again, because the source replaced it or lost its history, is swept then: rows that were not met
have no document any more. But only once the stream has come past what was read: what it still brings from before would
make rows of deleted documents anew, and a drop that is still to come may have rows kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

from warp.change import TableRef
from warp.destinations.base import Destination
from warp.errors import WarpError
from warp.metadata.base import SnapshotState, TableState
from warp.monitoring.failures import Failures
from warp.monitoring.logging import get_logger
from warp.retry import MENDED_SECONDS, stops_table
from warp.sources.base import Source
from warp.transport.base import Wakeups, load_wakeup

CHUNK_DOCUMENTS = 25_000
"""Documents in one chunk: small enough to be shared among workers, large enough not to be many."""
CHUNKS_AT_ONCE = 8
"""Chunks of one table that wait for workers or are being loaded."""
SWEEP_ROWS = 50_000
"""Rows that are swept in one transaction."""


class Snapshots:
    """Keeps the first loads of one schema going. `tick` is harmless however often it is called and by whom."""

    def __init__(
        self,
        schema: str,
        source: Source,
        destination: Destination,
        wakeups: Wakeups,
        *,
        soft: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`soft`: whether a table's deletes mark its rows, by its name; `clock` in seconds, only ever growing."""
        self._schema = schema
        self._source = source
        self._destination = destination
        self._metadata = destination.metadata
        self._soft = soft
        self._wakeups = wakeups
        self._clock = clock
        self._not_before: dict[TableRef, float] = {}
        """When a table is attended to again that a person must mend."""
        self._loaded: dict[TableRef, tuple[int, int]] = {}
        """The floor of a table that is read again, and a cluster time at which it had been read whole."""
        self._failures = Failures(self._metadata)
        self._log = get_logger(__name__).bind(schema=schema)

    def tick(self) -> bool:
        """One round; returns whether a first load is still open."""
        is_open = False
        tables = [table for table in self._metadata.tables(self._schema) if table.snapshot.open]
        self._loaded = {table.ref: self._loaded[table.ref] for table in tables if table.ref in self._loaded}
        for table in tables:
            is_open |= not self._attend_to(table)
        return is_open

    def _attend_to(self, table: TableState) -> bool:
        """What a person must mend in one table does not hold up the others; True: the snapshot is closed."""
        if self._clock() < self._not_before.get(table.ref, 0.0):
            return False
        try:
            if table.snapshot is SnapshotState.PLANNED:
                self._plan(table.ref)
            return self._go_on(table)
        except WarpError as error:
            if not stops_table(error):
                raise
            self._failures.block(table.ref, error)
            self._failures.note(error, *table.ref, None)
            self._not_before[table.ref] = self._clock() + MENDED_SECONDS
            return False

    def _plan(self, ref: TableRef) -> None:
        chunks = list(self._source.split(ref.schema, ref.table, CHUNK_DOCUMENTS))
        if self._metadata.add_chunks(ref, chunks):
            self._log.info("first load planned", table=ref.table, chunks=len(chunks))

    def _go_on(self, table: TableState) -> bool:
        """Wake workers for what is missing; True: nothing was, and the snapshot is closed."""
        ref = table.ref
        missing = self._metadata.missing_chunks(ref, CHUNKS_AT_ONCE)
        if missing:
            self._wakeups.revive([load_wakeup(ref, chunk) for chunk in missing], uuid4().hex[:16])
            return False
        if table.floor and not self._is_passed(table):
            return False
        if table.floor and (swept := self._destination.sweep(ref, SWEEP_ROWS, soft=self._soft(ref.table))):
            self._log.info("rows without a document swept", table=ref.table, rows=swept)
            return False
        if table.blocked:
            with self._destination.transaction() as transaction:
                transaction.unblock(ref)
        if self._metadata.close_snapshot(ref):
            self._log.info("first load finished", table=ref.table)
        return True

    def _is_passed(self, table: TableState) -> bool:
        """Whether everything of a table is applied that the source had when it had been read whole."""
        floor, loaded = self._loaded.get(table.ref, (0, 0))
        if floor != table.floor:
            loaded = max(self._source.now(), table.floor)
            self._loaded[table.ref] = table.floor, loaded
        # Several changes may have one time: of the last of them only a later time says that it is applied.
        return table.settled > loaded
