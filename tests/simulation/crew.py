"""The actors: the real tailer, worker and scheduler in their loops, as their processes run them, and a person."""

from __future__ import annotations

import random
from collections.abc import Callable

from scheduler.attempts import Attempts
from scheduler.letters import Letters
from scheduler.reconcile import Reconcile
from scheduler.snapshots import Snapshots
from scheduler.stalled import Stalled
from scheduler.tailer import Tailer
from tests.simulation.ending import Ending
from tests.simulation.life import SCHEMA
from tests.simulation.parts import transport
from warp.change import TableRef
from warp.config import TableSettings
from warp.errors import ServerUnreachable, Transient, WarpError
from warp.process import Stop
from warp.testing import Hook, MemoryBroker, MemoryDestination, MemoryLetterJobs, MemorySource
from workers.apply import Applier
from workers.drain import Drain
from workers.relief import Relief
from workers.replay import Outcome, Replayer
from workers.report import Report
from workers.snapshot import Loader


class SimulatedStop(Stop):
    """Waiting is a turn of everybody else; no signal, no pipe."""

    def __init__(self, hook: Hook) -> None:
        self._is_set = False
        self._hook = hook

    def __del__(self) -> None:
        """Nothing is held."""

    def set(self) -> None:
        self._is_set = True

    def wait(self, seconds: float) -> bool:
        self._hook("stop.wait")
        return self._is_set


Settings = Callable[[TableRef], TableSettings]
"""Of a table."""


class Crew:
    """Makes the actors' bodies. Each loops until its stop is set."""

    def __init__(
        self,
        rng: random.Random,
        source: MemorySource,
        destination: MemoryDestination,
        broker: MemoryBroker,
        ending: Ending,
        *,
        clock: Callable[[], float],
        hook: Hook,
    ) -> None:
        self._rng = rng
        self._source = source
        self._destination = destination
        self._broker = broker
        self._ending = ending
        self._clock = clock
        self._hook = hook
        self.tailers: dict[str, Tailer] = {}
        """Those that live, by name."""
        self.person_rests = False
        """Whether nobody replays dead letters."""

    def body(self, name: str, settings: Settings, high_water_mark: int, stop: SimulatedStop) -> Callable[[], None]:
        """What an actor does; `name` says what it is, and which: "tailer-1"."""
        kind = name.partition("-")[0]
        if kind == "tailer":
            return lambda: self._tail(name, settings, high_water_mark, stop)
        bodies = {"worker": self._work, "scheduler": self._schedule, "person": self._replay}
        return lambda: bodies[kind](settings, stop)

    def _tail(self, name: str, settings: Settings, high_water_mark: int, stop: SimulatedStop) -> None:
        logs, wakeups, _ = transport(self._broker, self._hook)
        tailer = self.tailers[name] = Tailer(
            SCHEMA,
            self._source,
            self._destination,
            logs,
            wakeups,
            settings=lambda table: settings(TableRef(SCHEMA, table)),
            high_water_mark=high_water_mark,
            clock=self._clock,
            wait=stop.wait,
        )
        attempt = Attempts(SCHEMA, tailer.tick, self._destination.metadata, on_error=tailer.close)
        while not stop.is_set():
            stop.wait(attempt())
        try:
            tailer.finish()
        except WarpError:
            return  # the process says so, and ends

    def _work(self, settings: Settings, stop: SimulatedStop) -> None:
        report = Report()
        source, destination = self._source, self._destination
        logs, wakeups, letters = transport(self._broker, self._hook)
        applier = Applier(source, destination, logs, settings=settings, report=report, now=self._clock)
        drain = Drain(
            applier,
            Loader(source, destination, settings=settings, report=report),
            logs,
            wakeups,
            destination.metadata,
            stop=stop,
            clock=self._clock,
        )
        replayer = Replayer(source, destination, settings=settings, report=report, wait=stop.wait)
        relief = Relief([SCHEMA], applier, logs, destination.metadata, stop=stop)
        works = {"apply": drain.apply, "load": drain.load}
        while not stop.is_set():
            stop.wait(0)
            try:
                if (taken := wakeups.take()) is not None:
                    wakeup, correlation_id = taken
                    works[wakeup.kind](wakeup, correlation_id)
                elif (number := letters.take()) is not None:
                    _do_letter(replayer, letters, number)
            except (Transient, ServerUnreachable):
                relief()

    def _schedule(self, settings: Settings, stop: SimulatedStop) -> None:
        metadata = self._destination.metadata
        logs, wakeups, jobs = transport(self._broker, self._hook)
        snapshots = Snapshots(
            SCHEMA,
            self._source,
            self._destination,
            wakeups,
            soft=lambda table: settings(TableRef(SCHEMA, table)).deletion_strategy == "soft",
            clock=self._clock,
        )
        stalled = Stalled(self._destination, clock=self._clock)
        reconcile = Reconcile(SCHEMA, metadata, logs, wakeups)
        letters = Letters(SCHEMA, metadata, jobs, clock=self._clock)

        def tick() -> None:
            stalled.tick()
            reconcile.tick()
            snapshots.tick()
            letters.tick()

        attempt = Attempts(SCHEMA, tick, metadata, on_error=lambda: None)
        while not stop.is_set():
            stop.wait(attempt())

    def _replay(self, settings: Settings, stop: SimulatedStop) -> None:
        """A person who replays dead letters, in any order, at any time, by button or by command."""
        _, _, letters = transport(self._broker, self._hook)
        replayer = Replayer(self._source, self._destination, settings=settings, report=Report(), wait=stop.wait)
        while not stop.is_set():
            stop.wait(0)
            opened = self._ending.open_letters()
            if self.person_rests or not opened or self._rng.random() < 0.8:
                continue
            number = self._rng.choice(opened)
            try:
                if number not in letters.failed():
                    replayer.replay(number)
                elif self._rng.random() < 0.5:
                    letters.requeue(number)
            except (WarpError, KeyError):
                continue  # not now; or the job was gone when the button was pressed


def _do_letter(replayer: Replayer, letters: MemoryLetterJobs, number: int) -> None:
    """What the job of a dead letter does, and what RQ makes of it."""
    try:
        replayed = replayer.replay(number)
    except WarpError as error:
        letters.finish(number, str(error))
    else:
        letters.finish(number, replayed.traceback if replayed.outcome is Outcome.FAILED else None)
