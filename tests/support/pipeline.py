"""Tailer, scheduler and worker driven by hand, so that each value is looked at where it arrives."""

from __future__ import annotations

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
        settings = TableSettings(batch_size=1000, deletion_strategy="hard", partitions=1)
        source, destination, logs = connections.source, connections.destination, connections.logs
        self.tailer = Tailer(
            schema,
            source,
            destination,
            logs,
            connections.wakeups,
            settings=lambda _: settings,
            high_water_mark=2**30,
            clock=lambda: 0.0,
            wait=lambda _: None,
        )
        self.snapshots = Snapshots(schema, source, destination, connections.wakeups, soft=lambda _: False)
        self.applier = Applier(source, destination, logs, settings=lambda _: settings, report=Report())
        self.loader = Loader(source, destination, settings=lambda _: settings, report=Report())

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
