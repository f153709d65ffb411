"""One run: the real tailers, workers and scheduler over in-memory parts, and everything that can befall them.

The same seed gives the same run, call for call. Time stands still but for the environment moving it on.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from scheduler.reconcile import Reconcile
from scheduler.snapshots import Snapshots
from scheduler.tailer import Tailer
from tests.simulation.interleaving import Actor, Interleaving
from tests.simulation.life import LATE_TABLE, POISON, SCHEMA, TABLES, Life
from tests.simulation.truth import Truth
from tests.simulation.weather import Weather, weather
from warp.change import TableRef
from warp.config import TableSettings
from warp.errors import ServerUnreachable, StreamInvalid, Transient
from warp.process import Stop
from warp.testing import MemoryBroker, MemoryDatabase, MemoryDestination, MemoryLogs, MemorySource, MemoryWakeups
from warp.testing.documents import key_of
from workers.apply import Applier
from workers.drain import Drain
from workers.report import Report
from workers.snapshot import Loader

QUIET_TURNS = 1500
"""Turns in which everything must have caught up once nothing goes wrong any more."""
AFTERMATH_TURNS = 60
_IDLE = frozenset({"tailer.done", "worker.done", "scheduler.done", "tailer.wait", "stop.wait"})
"""Not calls of a part: an actor has done a round, or waits."""


class _NeverStopped(Stop):
    def __init__(self, hook: Callable[[str], None]) -> None:
        super().__init__()
        self._hook = hook

    def wait(self, seconds: float) -> bool:
        self._hook("stop.wait")
        return False


class World:
    """`run` says what went wrong: nothing, if the protocol is right."""

    def __init__(self, seed: int, chosen: Weather | None = None) -> None:
        self.rng = random.Random(seed)
        self.weather = chosen or weather(self.rng)
        self.time = 1_700_000_000.0
        self.trace = 0
        self._saved: Any = None
        self._faults, self._pauses = self.weather.faults, self.weather.pauses
        self._slow_loads = self.weather.slow_loads
        self._dead: list[str] = []
        self._interleaving = Interleaving(self.rng)
        self._interleaving.stickiness = self.rng.choice((0.3, 0.7, 0.9))
        self._interleaving.patience = self.rng.choice((5.0, 15.0, 40.0))
        self._partitions = {table: self.rng.randint(1, 3) for table in (*TABLES, LATE_TABLE)}
        self._batch_size = self.rng.choice((1, 4, 20))
        self._high_water_mark = self.rng.choice((1000, 1_000_000))
        self.source = MemorySource(
            clock=self._clock, hook=self._hook, batch=self.rng.choice((1, 4, 20)), piece=self.rng.randint(1, 3)
        )
        self.database = MemoryDatabase(clock=self._clock)
        self.destination = MemoryDestination(self.database, hook=self._hook)
        self.broker = MemoryBroker(clock=self._clock)
        self.logs = MemoryLogs(self.broker, hook=self._hook)
        self.wakeups = MemoryWakeups(self.broker, hook=self._hook)
        self.truth = Truth(self.source, self.database)
        self._life = Life(self.rng, self.source, self.truth, updates=self.weather.updates)
        if self.weather.poison:
            self.database.poison.add(key_of(POISON))

    def run(self) -> list[str]:
        """Live through it; returns what went wrong."""
        if self.weather.loaded:
            for _ in range(self.rng.randint(0, 12)):
                self._life.change(late=False)
        for number in (1, 2):
            self._start(f"tailer-{number}")
        for number in (1, 2, 3):
            self._start(f"worker-{number}")
        self._start("scheduler")
        try:
            for _ in range(self.weather.turns):
                self._befall()
                self._interleaving.let_run()
                while self._dead:
                    self._start(self._dead.pop())
                if self._wrong():
                    return self._wrong()
            return self._settle()
        finally:
            self._interleaving.end()

    def _wrong(self) -> list[str]:
        return [*self._interleaving.crashes, *self.truth.wrongs]

    def _settle(self) -> list[str]:
        """Nothing befalls anybody any more: all must catch up by themselves, and stay so."""
        self._faults = self._pauses = 0.0
        self._slow_loads = False
        self._interleaving.patience, self._interleaving.stickiness = 12.0, 0.9
        for actor in self._interleaving.actors:
            actor.frozen_until = 0
        if self.weather.repartitioned:
            for actor in [actor for actor in self._interleaving.actors if actor.name.startswith("tailer")]:
                self._restart(actor)  # the deployment of the last configuration is done
        left = QUIET_TURNS
        while left > 0 and not self._wrong():
            left -= 1
            self._quiet_turn()
            if self._caught_up():
                for _ in range(AFTERMATH_TURNS):
                    self._quiet_turn()
                return [*self._wrong(), *self.truth.differences()]
        return self._wrong() or self.truth.differences() or ["it never came to rest"]

    def _quiet_turn(self) -> None:
        self.time += 0.3
        self._interleaving.let_run()

    def _caught_up(self) -> bool:
        schema = self.database.schemas.get(SCHEMA)
        return (
            schema is not None
            and (not self.source.log or schema.checkpoint.position >= self.source.log[-1].position)
            and not any(known.snapshot.open for known in self.database.known.values())
            and not self.broker.state.logs
        )

    def _clock(self) -> float:
        return self.time

    def _hook(self, call: str) -> None:
        """Every call of every part comes through here."""
        actor = self._interleaving.current
        if actor is None:
            return
        self.trace = zlib.crc32(f"{actor.name} {call}".encode(), self.trace)
        if call == "destination.committed":
            self.truth.look()
        self.truth.look_at_checkpoint(self.database.schemas.get(SCHEMA))
        idle = call in _IDLE
        if not idle and not actor.killed:
            self._befall_here(actor, call)
        self._interleaving.switch(idle=idle)
        if not idle and self.rng.random() < self._faults:
            if call == "stream.next_batch":
                raise StreamInvalid("the change stream was cut")
            raise self.rng.choice((Transient("not now"), ServerUnreachable("a server", "somewhere", "gone")))

    def _befall_here(self, actor: Actor, call: str) -> None:
        dice = self.rng.random()
        if call == "source.read" and self._slow_loads and dice < 0.5:
            self._interleaving.freeze(actor, self.rng.randint(5, 40))
        elif dice < self._pauses:
            self._interleaving.freeze(actor, self.rng.choice((1, 5, 25)))
        elif dice < self._pauses * 1.1:
            self._dead.append(actor.name)
            self._interleaving.die()

    def _befall(self) -> None:
        rng = self.rng
        actor = rng.choice(self._interleaving.actors)
        dice = rng.random()
        if dice < 0.45:
            self._life.change(late=SCHEMA in self.database.schemas)
        elif dice < 0.49 and self.weather.repartitioned:
            self._reconfigure()
        elif dice < 0.88:
            self.time += rng.choice((0.01, 0.3, 1.1, 6.0))
        elif dice < 0.92:
            self._interleaving.freeze(actor, rng.choice((3, 10, 40)))
        elif dice < 0.95:
            self._restart(actor)
        elif dice < 0.96:
            self._saved = self.broker.save()
        elif dice < 0.967 and self._saved:
            self.broker.restore(self._saved)
        elif dice < 0.975:
            self.broker.flush()
        elif dice < 0.985:
            self.source.cut_streams()

    def _reconfigure(self) -> None:
        """A new configuration, with which only one of the tailers is started again for now."""
        self._partitions = self._partitions | {self.rng.choice(TABLES): self.rng.randint(1, 4)}
        self._restart(next(actor for actor in self._interleaving.actors if actor.name.startswith("tailer")))

    def _restart(self, actor: Actor) -> None:
        self._interleaving.kill(actor)
        self._start(actor.name)

    def _start(self, name: str) -> None:
        bodies = {"tailer": self._tailer, "worker": self._worker, "scheduler": self._scheduler}
        self._interleaving.start(name, bodies[name.partition("-")[0]]())

    def _settings(self, table: str, partitions: dict[str, int]) -> TableSettings:
        return TableSettings(
            batch_size=self._batch_size,
            deletion_strategy="soft" if self.weather.soft else "hard",
            partitions=partitions.get(table, 1),
        )

    def _tailer(self) -> Callable[[], None]:
        """A tailer keeps the configuration that it was started with."""
        partitions = self._partitions

        def body() -> None:
            tailer = Tailer(
                SCHEMA,
                self.source,
                self.destination,
                self.logs,
                self.wakeups,
                settings=lambda table: self._settings(table, partitions),
                high_water_mark=self._high_water_mark,
                clock=self._clock,
                wait=lambda _: self._hook("tailer.wait"),
            )
            while True:
                try:
                    tailer.tick()
                except (Transient, ServerUnreachable, StreamInvalid):
                    tailer.close()
                self._hook("tailer.done")

        return body

    def _worker(self) -> Callable[[], None]:
        def settings(ref: TableRef) -> TableSettings:
            return self._settings(ref.table, self._partitions)

        def body() -> None:
            report = Report()
            drain = Drain(
                Applier(self.source, self.destination, self.logs, settings=settings, report=report, now=self._clock),
                Loader(self.source, self.destination, settings=settings, report=report),
                self.logs,
                self.wakeups,
                self.destination.metadata,
                stop=_NeverStopped(self._hook),
                clock=self._clock,
            )
            while True:
                self._hook("worker.done")
                try:
                    job = self.wakeups.take()
                except (Transient, ServerUnreachable):
                    continue
                if job is not None:
                    wakeup, correlation_id = job
                    {"apply": drain.apply, "load": drain.load}[wakeup.kind](wakeup, correlation_id)

        return body

    def _scheduler(self) -> Callable[[], None]:
        def body() -> None:
            metadata = self.destination.metadata
            snapshots = Snapshots(
                SCHEMA, self.source, self.destination, self.wakeups, soft=lambda _: self.weather.soft
            )
            reconcile = Reconcile(SCHEMA, metadata, self.logs, self.wakeups)
            while True:
                with suppress(Transient, ServerUnreachable):
                    snapshots.tick()
                    reconcile.tick()
                self._hook("scheduler.done")

        return body
