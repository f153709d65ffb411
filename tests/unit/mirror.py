"""A mirror in memory, step by step: every part real but for source, destination and transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler.reconcile import Reconcile
from scheduler.snapshots import Snapshots
from scheduler.tailer import Tailer
from warp.change import Key, Partition, TableRef
from warp.config import TableSettings
from warp.destinations.base import OnDrop
from warp.evolution.rules import Layout
from warp.filters import FieldFilter
from warp.process import Stop
from warp.testing import MemoryBroker, MemoryDestination, MemoryLogs, MemorySource, MemoryWakeups, Row
from workers.apply import Applier
from workers.drain import Drain
from workers.report import Report
from workers.snapshot import Loader

SCHEMA, TABLE = "shop", "orders"
REF = TableRef(SCHEMA, TABLE)
START = 1_700_000_000.0


class _Stop(Stop):
    """Waiting lets the clock go on."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def wait(self, seconds: float) -> bool:
        self._advance(seconds)
        return self.is_set()


class Mirror:
    """One schema's mirror. `calls` are those of all in-memory parts.

    At one of them, what `meanwhile` has for it is done first, and what `fail` has for it is raised.
    """

    def __init__(self, *, partitions: int = 1, batch_size: int = 100, soft: bool = False, piece: int = 2) -> None:
        self.time = START
        self.calls: list[str] = []
        self.fail: dict[str, list[BaseException]] = {}
        self.meanwhile: dict[str, list[Callable[[], object]]] = {}
        self.partitions = partitions
        self.soft = soft
        self.on_drop = OnDrop.KEEP
        self.batch_size = batch_size
        self.filter: FieldFilter | None = None
        self.layout = Layout.COLUMNS
        self.flatten_depth = 0
        self.excluded: set[str] = set()
        self.high_water_mark = 1_000_000
        self.source = MemorySource(clock=self.clock, hook=self._hook, piece=piece)
        self.destination = MemoryDestination(hook=self._hook)
        self.database = self.destination.database
        self.metadata = self.destination.metadata
        self.broker = MemoryBroker(clock=self.clock)
        self.logs = MemoryLogs(self.broker, hook=self._hook)
        self.wakeups = MemoryWakeups(self.broker, hook=self._hook)
        self.stop = _Stop(self.advance)
        self.drain = self.new_drain()
        self.snapshots = Snapshots(
            SCHEMA, self.source, self.destination, self.wakeups, soft=lambda _: self.soft, clock=self.clock
        )
        self.reconcile = Reconcile(SCHEMA, self.metadata, self.logs, self.wakeups)

    def clock(self) -> float:
        """Seconds since 1970."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds

    def _hook(self, call: str) -> None:
        self.calls.append(call)
        if deeds := self.meanwhile.get(call):
            deeds.pop(0)()
        if failures := self.fail.get(call):
            raise failures.pop(0)

    def settings(self, _: object = None) -> TableSettings:
        """The settings of every table."""
        return TableSettings(
            batch_size=self.batch_size,
            deletion_strategy="soft" if self.soft else "hard",
            partitions=self.partitions,
            on_drop=self.on_drop,
            layout=self.layout,
            flatten_depth=self.flatten_depth,
            filter=self.filter,
        )

    def tailer(self) -> Tailer:
        """Another tailer, with the settings as they are now."""
        settings = self.settings()
        return Tailer(
            SCHEMA,
            self.source,
            self.destination,
            self.logs,
            self.wakeups,
            settings=lambda _: settings,
            mirrors=(lambda table: table not in self.excluded) if self.excluded else None,
            high_water_mark=self.high_water_mark,
            clock=self.clock,
            wait=self.advance,
        )

    def applier(self) -> Applier:
        """Another worker's applier."""
        return Applier(
            self.source, self.destination, self.logs, settings=self.settings, report=Report(), now=self.clock
        )

    def loader(self) -> Loader:
        """Another worker's loader."""
        return Loader(self.source, self.destination, settings=self.settings, report=Report())

    def new_drain(self) -> Drain:
        """Another worker."""
        return Drain(
            self.applier(), self.loader(), self.logs, self.wakeups, self.metadata, stop=self.stop, clock=self.clock
        )

    def work(self) -> int:
        """Do what the queue holds, as one worker; returns how many wake-ups that were."""
        done = 0
        while (taken := self.wakeups.take()) is not None:
            wakeup, correlation_id = taken
            {"apply": self.drain.apply, "load": self.drain.load}[wakeup.kind](wakeup, correlation_id)
            done += 1
        return done

    def catch_up(self, tailer: Tailer) -> None:
        """Load, send and apply everything that there is, and save the checkpoint."""
        for rounds in range(8):
            tailer.tick()
            is_open = self.snapshots.tick()
            self.reconcile.tick()
            self.work()
            self.advance(1.0)
            if rounds >= 3 and not is_open:
                break
        tailer.check()

    def insert(self, *numbers: int, **fields: Any) -> None:
        """Insert documents of these numbers."""
        for number in numbers:
            self.source.insert(SCHEMA, TABLE, {"_id": number, **fields})

    def rows(self, table: str = TABLE) -> dict[str, Row]:
        """The rows, without those softly deleted or kept, by the text of their keys."""
        return {key.text: row for key, row in self._alive(TableRef(SCHEMA, table)).items()}

    def _alive(self, ref: TableRef) -> dict[Key, Row]:
        known, rows = self.database.known.get(ref), self.database.rows.get(ref, {})
        return {key: row for key, row in rows.items() if not row.is_deleted and row.ts >= (known.kept if known else 0)}

    def entries(self, number: int = 0) -> list[tuple[str, str]]:
        """`prev` and `last` of the entries in a partition's log."""
        stored = self.logs.read(Partition(*REF, number, 1), None, 1000)
        return [(item.entry.prev, item.entry.last) for item in stored]

    def identical(self, table: str = TABLE) -> bool:
        """Whether rows equal documents."""
        ref = TableRef(SCHEMA, table)
        documents, rows = self.source.documents.get(ref, {}), self._alive(ref)
        form = self.settings().fields
        return documents.keys() == rows.keys() and not any(
            self.source.differences(documents[key], key, row.fields, form) for key, row in rows.items()
        )
