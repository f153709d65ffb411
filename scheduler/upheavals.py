"""What happens to whole tables: dropped, replaced, or cut off from their history. Each is done once, and noted.

Doing any of it again, or late, changes nothing: it concerns only what is older than the time at which it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from scheduler.exclusion import Exclusion
from scheduler.settings import TableFateSettings
from warp.change import TableRef
from warp.destinations.base import Destination
from warp.errors import StreamLost, WarpError
from warp.monitoring.failures import Failures
from warp.monitoring.logging import get_logger
from warp.retry import MENDED_SECONDS, stops_table
from warp.sources.base import Source, TableEvent, TableFate


class Upheavals:
    """Carries out what happens to the tables of one schema."""

    def __init__(
        self,
        schema: str,
        source: Source,
        destination: Destination,
        settings: Callable[[str], TableFateSettings],
        clock: Callable[[], float],
        exclusion: Exclusion,
    ) -> None:
        self._schema = schema
        self._exclusion = exclusion
        self._source = source
        self._destination = destination
        self._settings = settings
        self._clock = clock
        self._failures = Failures(destination.metadata)
        self._waiting: list[TableEvent] = []
        self._next_try = 0.0
        self._log = get_logger(__name__).bind(schema=schema)

    def happened(self, event: TableEvent) -> bool:
        """The stream says that something happened to a table.

        False: a person must act first. The table is blocked then, and it is tried again now and then until `forget`.
        """
        try:
            self._carry_out(event)
        except WarpError as error:
            if not stops_table(error):
                raise
            ref = TableRef(self._schema, event.table)
            self._failures.block(ref, error)
            self._failures.note(error, *ref, None)
            self._waiting.append(event)
            self._next_try = self._clock() + MENDED_SECONDS
            return False
        return True

    def try_again(self) -> None:
        """See whether what waits for a person can be done by now."""
        if not self._waiting or self._clock() < self._next_try:
            return
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            if self.happened(event):
                with self._destination.transaction() as transaction:
                    transaction.unblock(TableRef(self._schema, event.table))

    def nothing_waits(self) -> None:
        """All that the source has is applied: no change is to come that would end the block of a table.

        Such a block came late: what could not be applied was applied by another, or dropped, before it was noted.
        """
        for table in self._destination.metadata.tables(self._schema):
            if table.blocked and not table.snapshot.open:
                with self._destination.transaction() as transaction:
                    transaction.unblock(table.ref)

    def forget(self) -> None:
        """The stream will say again what waits."""
        self._waiting.clear()

    def _carry_out(self, event: TableEvent) -> None:
        if event.fate is TableFate.DROPPED:
            self._dropped(event.table, event.ts, event.cause)
        else:
            self._replaced(event.table, event.ts, event.cause)

    def history_lost(self, lost: StreamLost) -> None:
        """The changes after the checkpoint are gone for ever: read every table again, and go on from now."""
        self._log.error("the source's history is lost, all tables are read again", reason=str(lost), remedy=lost.remedy)
        metadata = self._destination.metadata
        metadata.log_error(self._schema, None, lost, lost.remedy, None)
        stream = self._source.open_stream(self._schema, None)
        start = stream.point
        stream.close()
        # The point may lie ahead of all that has happened, and so of the times at which tables are read: but not far.
        floor = max(self._source.now(), start.ts - 1)
        # Listed after the point: what is created later comes by the stream.
        present = {table.name for table in self._source.tables(self._schema)}
        self._exclusion.note(present)
        for table in filter(self._exclusion.mirrors, sorted(metadata.partitions(self._schema).keys() - present)):
            self._gone_unseen(table, floor, "gone when the history was lost")
        for table in filter(self._exclusion.mirrors, sorted(present)):
            self._replaced(table, floor, "the history was lost")
        # Last: until here the loss is found again, by whoever comes next.
        metadata.save_checkpoint(self._schema, start, start.ts)

    def included_again(self, tables: Collection[str]) -> None:
        """Read tables that were excluded until now, and whose changes were left out."""
        floor = self._source.now()
        present = {table.name for table in self._source.tables(self._schema)}
        floors = {state.ref.table: state.floor for state in self._destination.metadata.tables(self._schema)}
        for table in sorted(tables):
            if table in present:
                # A reading that was begun at this very time, of a source that is idle, was given up since.
                self._replaced(table, max(floor, floors.get(table, 0) + 1), "included again")
            else:
                self._gone_unseen(table, floor, "gone while it was excluded")
            self._exclusion.included(table)

    def _gone_unseen(self, table: str, ts: int, cause: str) -> None:
        try:
            self._dropped(table, ts, cause)
        except WarpError as error:
            if not stops_table(error):
                raise
            # The stream will not say it again: read again, it has nothing, and is swept once a person has mended it.
            self._failures.note(error, self._schema, table, None)
            self._replaced(table, ts, cause)

    def _dropped(self, table: str, ts: int, cause: str) -> None:
        settings = self._settings(table)
        soft = settings.deletion_strategy == "soft"
        ref = TableRef(self._schema, table)
        if self._destination.drop(ref, ts, settings.on_drop, soft=soft, cause=cause):
            self._log.warning("source table dropped", table=table, cause=cause, rows=settings.on_drop.value)

    def _replaced(self, table: str, ts: int, cause: str) -> None:
        ref = TableRef(self._schema, table)
        if self._destination.metadata.replace_table(ref, ts, self._settings(table).partitions, cause):
            self._log.warning("source table replaced, it is read again", table=table, cause=cause)
