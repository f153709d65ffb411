"""The tailer: follows one schema's change stream and sends what it says to the partition logs.

Start, restart and loss of Redis are one procedure, `start_over`: reopen the stream at the checkpoint, continue each
partition after its marker. A tailer may be one of several, or wake up after having been thought dead: what it sends
is true whenever it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import uuid4

from scheduler.backpressure import MEMORY_SHARE, Backpressure
from scheduler.exclusion import Exclusion
from scheduler.missing import missing
from scheduler.pending import Pending
from scheduler.repartition import Repartition
from scheduler.routing import Router
from scheduler.settings import RoutingSettings
from scheduler.unmirrored import Unmirrored
from scheduler.upheavals import Upheavals
from warp.change import BEGINNING, Partition, RoutedChange, cluster_seconds
from warp.destinations.base import Destination
from warp.errors import StreamInvalid, StreamLost
from warp.metadata.base import SchemaState
from warp.monitoring.logging import get_logger
from warp.monitoring.metrics import TailerMetrics
from warp.sources.base import ChangeStream, Source, StreamBatch, StreamPoint
from warp.transport.base import Logs, Wakeups, apply_wakeup

CHECK_SECONDS = 1.0
"""How often the tailer looks at what has been applied, saves its checkpoint, and looks for what was lost."""
POLL_SECONDS = 0.5
"""The longest wait for the next change: a stop takes no longer than this."""
FULL_SECONDS = 0.05
"""The wait while the logs are at their high-water mark."""


class Tailer:
    """One schema's tailer. `tick` does one round and never blocks for longer than POLL_SECONDS."""

    def __init__(
        self,
        schema: str,
        source: Source,
        destination: Destination,
        logs: Logs,
        wakeups: Wakeups,
        *,
        settings: Callable[[str], RoutingSettings],
        mirrors: Callable[[str], bool] | None = None,
        high_water_mark: int,
        share: float = MEMORY_SHARE,
        clock: Callable[[], float],
        wait: Callable[[float], object],
    ) -> None:
        """`settings` of a table by its name; `mirrors` says whether a table is mirrored, None: every one is;
        `high_water_mark` in bytes of the schema's logs, or `share` of what Redis may hold; `clock` in seconds, only
        ever growing; `wait` waits so many seconds, or until told to stop."""
        self._schema = schema
        self._source = source
        self._metadata = destination.metadata
        self._exclusion = Exclusion(schema, destination.metadata, mirrors)
        self._upheavals = Upheavals(schema, source, destination, settings, clock, self._exclusion)
        self._unmirrored = Unmirrored(schema, source, destination.metadata, self._exclusion.mirrors, clock)
        self._logs = logs
        self._wakeups = wakeups
        self._settings = settings
        self._backpressure = Backpressure(schema, logs, high_water_mark=high_water_mark, share=share)
        self._clock = clock
        self._wait = wait
        self._name = uuid4().hex[:12]
        self._starts = 0
        self._pending = Pending()
        self._stream: ChangeStream | None = None
        self._router = Router(schema, "", lambda table: settings(table).batch_size)
        self._epoch = ""
        self._next_check = 0.0
        self._source_ts = 0
        self._at_end = False
        """Whether the source had nothing more at hand."""
        self._blocked: set[str] = set()
        """Tables to which nothing can be applied: the others go on without them."""
        self._repartition = Repartition(schema, self._metadata, lambda table: settings(table).partitions)
        self._metrics = TailerMetrics(schema)
        self._log = get_logger(__name__).bind(schema=schema, tailer=self._name)

    @property
    def caught_up(self) -> bool:
        """Whether everything that the source had at hand is applied."""
        return self._pending.changes == 0 and not self._pending.kept_back

    def tick(self) -> None:
        """One round: read what the stream has at hand, send it, and look after what was sent before.

        Raises what source, metadata and transport raise; the tailer is to be told to `start_over` then.
        """
        if self._stream is None:
            self.start_over()
        if self._stream is not None and self._clock() >= self._next_check:
            self.check()
        if self._stream is None:
            self._wait(CHECK_SECONDS)  # the history is lost; perhaps faster than the tables can be noted
            return
        if self._backpressure.reached:
            self._metrics.paused.set(1)
            self._wait(FULL_SECONDS)
            self._next_check = min(self._next_check, self._clock() + FULL_SECONDS)
            return
        self._metrics.paused.set(0)
        if self._repartition.due(self._stream_position):
            self._switch_partitions()
        else:
            self._read()

    def start_over(self) -> None:
        """Reopen the stream at the checkpoint, and continue each partition after its marker.

        Where the source has thrown away what follows the checkpoint, another one is made, and no stream is open yet.
        """
        self.close()
        self._starts += 1
        self._epoch = f"{self._name}:{self._starts}"
        state = self._metadata.schema(self._schema)
        if state is None:
            state = self._begin()
        if again := self._exclusion.begin(self._metadata.partitions(self._schema)):
            self._upheavals.included_again(again)
        try:
            self._stream = self._source.open_stream(self._schema, state.checkpoint)
        except StreamLost as lost:
            self._upheavals.history_lost(lost)
            return
        self._at_end = False
        self._blocked = self._metadata.blocked(self._schema)
        markers = self._metadata.markers(self._schema)
        self._router = Router(self._schema, self._epoch, lambda table: self._settings(table).batch_size)
        for table, of in self._metadata.partitions(self._schema).items():
            if not self._exclusion.mirrors(table):
                continue
            positions = {
                number: markers.get(Partition(self._schema, table, number, of), BEGINNING) for number in range(of)
            }
            self._router.set_table(table, of, positions)
            self._repartition.consider(table, positions)
        self._repartition.leave_out(self._blocked)
        self._next_check = 0.0
        self._log.info("stream opened", checkpoint=state.checkpoint.position, epoch=self._epoch)

    def _begin(self) -> SchemaState:
        stream = self._source.open_stream(self._schema, None)
        start = stream.point
        stream.close()
        found = self._source.tables(self._schema)
        self._exclusion.begin(table.name for table in found)
        tables = [table for table in found if self._exclusion.mirrors(table.name)]
        partitions = {table.name: self._settings(table.name).partitions for table in tables}
        self._log.info("schema is new", tables=len(tables), documents=sum(table.documents for table in tables))
        return self._metadata.begin_schema(self._schema, start, tables, partitions)

    def _read(self) -> None:
        assert self._stream is not None
        start = self._stream.point
        try:
            batch = self._next_batch(start)
        except StreamLost:
            self.start_over()
            return
        if batch is None:
            return
        self._at_end = not batch.changes and not batch.events
        self._source_ts = max(self._source_ts, batch.source_ts)
        self._unmirrored.passed_over(batch.passed_over)
        changes, events = self._exclusion.passed(batch.changes, batch.events)
        # Before the events: one that makes changes void must find their table known.
        self._meet(self._router.unknown_tables(changes))
        for event in events:
            # Before the changes that came with it: which of them it voids, their times say.
            if not self._upheavals.happened(event):
                self._pending.keep_back(event.table, start)
        if changes:
            self._send(self._without_blocked(changes, start), start)

    def _next_batch(self, start: StreamPoint) -> StreamBatch | None:
        """None: the stream had to be opened again where it stood."""
        assert self._stream is not None
        try:
            return self._stream.next_batch(min(POLL_SECONDS, max(0.0, self._next_check - self._clock())))
        except StreamInvalid as error:
            self._log.warning("stream is opened again", reason=str(error))
            self._stream.close()
            self._stream = self._source.open_stream(self._schema, start)
            return None

    def _without_blocked(self, changes: Sequence[RoutedChange], start: StreamPoint) -> Sequence[RoutedChange]:
        """Changes of blocked tables wait in the source's history, but for some in the logs, which workers try."""
        # Kept back once, kept back until the start-over: an entry says that it leaves nothing out.
        waiting = self._pending.kept_back | {table for table in self._blocked if self._pending.holds(table)}
        for table in waiting & {change.table for change in changes}:
            self._pending.keep_back(table, start)
        return [change for change in changes if change.table not in waiting] if waiting else changes

    def _send(self, changes: Sequence[RoutedChange], start: StreamPoint) -> None:
        correlation_id = uuid4().hex[:16]
        routed = self._router.route(changes, start, correlation_id)
        if not routed:
            return
        self._logs.append([entry for entry, _ in routed])
        for entry, sent in routed:
            self._pending.add(entry.partition, sent)
            self._backpressure.sent(sent.size)
        partitions = {entry.partition for entry, _ in routed}
        self._wakeups.schedule([apply_wakeup(partition) for partition in sorted(partitions)], correlation_id)
        self._metrics.sent(len(changes))
        self._log.debug("sent", correlation_id=correlation_id, changes=len(changes), entries=len(routed))

    def _meet(self, tables: set[str]) -> None:
        """Tables that the stream brought: note them, and route by what is noted, which another tailer may have done."""
        if tables:
            self._metadata.add_tables(self._schema, {table: self._settings(table).partitions for table in tables})
            known = self._metadata.partitions(self._schema)
            for table in tables:
                self._router.set_table(table, known[table], {})

    def check(self) -> None:
        """See what is applied, save the checkpoint, and start over if something that was sent is lost."""
        assert self._stream is not None
        self._upheavals.try_again()
        self._unmirrored.look()
        markers = self._metadata.markers(self._schema)
        self._pending.settle(markers)
        watermark = self._pending.low_watermark(self._stream.point)
        self._metadata.save_checkpoint(self._schema, watermark, self._source_ts)
        if unswept := self._metadata.unswept(self._schema):
            end = self._stream.point
            self._metadata.settle(self._schema, {table: self._pending.settled(table, end) for table in unswept})
        self._blocked = self._metadata.blocked(self._schema)
        if self._blocked and self._at_end and self.caught_up:
            self._upheavals.nothing_waits()
        self._backpressure.measure(self._blocked)
        self._metrics.checked(
            lag=max(0, cluster_seconds(self._source_ts) - cluster_seconds(watermark.ts)) if self._source_ts else 0,
            changes=self._pending.changes,
            size=self._backpressure.bytes,
        )
        lost = missing(self._schema, self._pending, self._logs, self._metadata)
        if self._logs.take_resends(self._schema, self._epoch) or lost:
            self._log.warning("entries are missing from the logs, starting over", partitions=len(lost))
            self._metrics.restarts.inc()
            self.start_over()
            return
        if self._pending.kept_back - self._blocked:
            self._log.info("tables take changes again, starting over", tables=sorted(self._pending.kept_back))
            self.start_over()
            return
        self._repartition.leave_out(self._blocked)
        self._next_check = self._clock() + CHECK_SECONDS

    @property
    def _stream_position(self) -> str:
        return self._stream.point.position if self._stream else BEGINNING

    def _switch_partitions(self) -> None:
        """Nothing is read meanwhile."""
        self._pending.settle(self._metadata.markers(self._schema))
        if not self._repartition.carry_out(self._router, self._pending, self._stream_position):
            self.start_over()
        elif self._repartition.due(self._stream_position):
            self._wait(FULL_SECONDS)

    def finish(self) -> None:
        """Save the checkpoint once more, and close."""
        if self._stream is not None:
            self.check()
        self.close()

    def close(self) -> None:
        """Give the stream back and forget what was sent; what is applied stays applied."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._pending.clear()
        self._upheavals.forget()
        self._repartition.clear()
