"""The processes that run, and what each of them was configured with when it was started."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tests.simulation.crew import Crew, SimulatedStop
from tests.simulation.interleaving import Actor, Interleaving
from tests.simulation.life import ALL_TABLES, TABLES
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather
from warp.change import TableRef
from warp.config import TableSettings
from warp.testing import Hook
from warp.transport.base import ENTRY_OVERHEAD

NAMES = ("tailer-1", "tailer-2", "worker-1", "worker-2", "worker-3", "scheduler")
PERSON = "person"
BATCH_BYTES = 20 * (ENTRY_OVERHEAD + 256)
"""What a tailer sends at most before it looks whether that was enough."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A configuration."""

    tables: Mapping[str, TableSettings]
    high_water_mark: int

    def table(self, ref: TableRef) -> TableSettings:
        """The settings of a table."""
        return self.tables[ref.table]


def drawn(rng: random.Random, weather: Weather) -> Settings:
    """Any configuration."""
    batch_size = rng.choice((1, 4, 20))
    tables = {
        table: TableSettings(
            batch_size=batch_size,
            deletion_strategy="soft" if weather.soft else "hard",
            partitions=rng.randint(1, 3),
            on_drop=weather.on_drop,
        )
        for table in ALL_TABLES
    }
    return Settings(tables=tables, high_water_mark=rng.choice((3000, 1_000_000)))


class Deployment:
    """Starts processes, and ends them. One that runs keeps the configuration that it was started with."""

    def __init__(
        self,
        rng: random.Random,
        weather: Weather,
        settings: Settings,
        interleaving: Interleaving,
        crew: Crew,
        trace: Trace,
        *,
        hook: Hook,
    ) -> None:
        self._rng = rng
        self._weather = weather
        self._settings = settings
        self._interleaving = interleaving
        self._crew = crew
        self._trace = trace
        self._hook = hook
        self._stops: dict[str, SimulatedStop] = {}

    def begin(self) -> None:
        """Start everybody."""
        for name in (*NAMES, PERSON) if self._weather.poison else NAMES:
            self._start(name)

    def replace_ended(self) -> None:
        """Start again whoever has died, or ended in order."""
        while self._interleaving.ended:
            self._start(self._interleaving.ended.pop())

    def kill_one(self) -> None:
        """End a process without warning, and start it again."""
        self._restart(self._rng.choice(self._interleaving.actors))

    def stop_one(self) -> None:
        """Tell a process to end in order."""
        name = self._rng.choice(self._interleaving.actors).name
        self._trace.note(f"{name} is told to stop")
        self._stops[name].set()

    def repartition(self) -> None:
        """A table is to have another number of partitions; only one of the tailers is told so for now."""
        table, held = self._rng.choice(TABLES), self._settings.tables
        changed = replace(held[table], partitions=self._rng.randint(1, 4))
        self._settings = replace(self._settings, tables={**held, table: changed})
        self._restart(next(actor for actor in self._interleaving.actors if actor.name.startswith("tailer")))

    def complete(self) -> None:
        """Every process has the last configuration."""
        for actor in [actor for actor in self._interleaving.actors if actor.name != PERSON]:
            self._restart(actor)

    def bloated(self) -> Iterator[str]:
        """Tailers that remember more than may lie in the logs, and in those of blocked tables.

        Twice as much: what is applied between their look at the markers and that at the logs, they learn by the next.
        """
        most = (self._settings.high_water_mark + BATCH_BYTES) * (3 if self._weather.breakage else 2)
        for name, tailer in self._crew.tailers.items():
            if tailer._pending.size > most:
                yield f"{name} remembers {tailer._pending.size} bytes"

    def _restart(self, actor: Actor) -> None:
        self._trace.note(f"{actor.name} is killed")
        self._interleaving.kill(actor)
        self._start(actor.name)

    def _start(self, name: str) -> None:
        stop = self._stops[name] = SimulatedStop(self._hook)
        settings = self._settings
        self._interleaving.start(name, self._crew.body(name, settings.table, settings.high_water_mark, stop))
