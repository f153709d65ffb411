"""Tailer, scheduler and worker driven by hand, so that each value is looked at where it arrives."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from scheduler.snapshots import Snapshots
from scheduler.tailer import Tailer
from tests.support.wait import eventually
from warp.change import Partition, TableRef
from warp.config import TableSettings
from warp.connections import Connections
from workers.apply import Applier, Outcome
from workers.report import Report
from workers.snapshot import Loader


class Pipeline:
    """Tailer, scheduler and worker of one schema, by hand."""

    def __init__(self, connections: Connections, schema: str) -> None:
        self.connections = connections
        self.schema = schema
        self.settings = TableSettings(batch_size=1000, deletion_strategy="hard", partitions=1)
        """Of every table; tests may change them."""
        source, destination, logs = connections.source, connections.destination, connections.logs
        self.tailer = self._tailer()
        self.snapshots = Snapshots(schema, source, destination, connections.wakeups, soft=lambda _: False)
        self.applier = Applier(source, destination, logs, settings=lambda _: self.settings, report=Report())
        self.loader = Loader(source, destination, settings=lambda _: self.settings, report=Report())

    def _tailer(self, mirrors: Callable[[str], bool] | None = None) -> Tailer:
        seconds = count()
        return Tailer(
            self.schema,
            self.connections.source,
            self.connections.destination,
            self.connections.logs,
            self.connections.wakeups,
            settings=lambda _: self.settings,
            mirrors=mirrors,
            high_water_mark=2**30,
            clock=lambda: float(next(seconds)),  # every look is late: no tick waits for changes
            wait=lambda _: None,
        )

    def restart(self, *excluded: str) -> None:
        """Begin again with another tailer, to which these tables are excluded."""
        self.tailer.close()
        self.tailer = self._tailer((lambda table: table not in excluded) if excluded else None)
        self.tailer.tick()

    def load(self, table: str) -> None:
        """Load a table that exists; the stream may have yet to say so."""
        ref = TableRef(self.schema, table)

        def planned() -> list[int]:
            self.tailer.tick()
            self.snapshots.tick()
            return self.connections.destination.metadata.missing_chunks(ref, 1)

        [chunk] = eventually(planned)
        assert self.loader.load(ref, chunk, "cid", going_on=lambda: True)
        self.snapshots.tick()

    def follow(self, table: str, changes: int) -> None:
        """Apply changes of a table."""

        def read() -> bool:
            self.tailer.tick()
            return sum(log.changes for log in self.connections.logs.backlog(self.schema).values()) == changes

        eventually(read)
        assert self.applier.step(Partition(self.schema, table, 0, 1)) is Outcome.APPLIED
