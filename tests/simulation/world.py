"""One run: the real tailers, workers and scheduler over in-memory parts, and everything that can befall them.

The same seed and weather give the same run, call for call. Time stands still but for the environment moving it on.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.calls import call_of
from tests.simulation.crew import Crew
from tests.simulation.deployment import Deployment, Settings, drawn
from tests.simulation.ending import Ending
from tests.simulation.faults import Faults
from tests.simulation.history import History
from tests.simulation.interleaving import Interleaving
from tests.simulation.life import ALL_TABLES, KEYS, SCHEMA, Life
from tests.simulation.parts import ForgetfulSource, FragileDestination
from tests.simulation.sessions import Sessions
from tests.simulation.trace import Trace
from tests.simulation.truth import Truth
from tests.simulation.weather import Weather, forecast
from warp.change import TableRef
from warp.testing import MemoryBroker, MemoryDatabase
from warp.testing.documents import key_of

START = 1_700_000_000.0
QUIET_TURNS = 900
"""Turns in which everything must have caught up once nothing goes wrong any more."""
AFTERMATH_TURNS = 20
"""Turns after that, in which all must stay as it is."""
QUIET_SECONDS = 1.0


class World:
    """`run` says what went wrong: nothing, if the protocol is right."""

    def __init__(self, seed: int, weather: Weather | None = None, tell: Callable[[str], object] | None = None) -> None:
        """`tell` is given the run line by line, for somebody to read."""
        self.weather = weather or forecast(seed)
        self.trace = Trace(tell)
        self._rng = rng = random.Random(seed)
        self._time = START
        self._interleaving = Interleaving(rng)
        self._interleaving.stickiness = rng.choice((0.3, 0.7, 0.9))
        self._interleaving.patience = rng.choice((5.0, 15.0, 40.0))
        settings = self._settings(rng)
        self._source = ForgetfulSource(
            rng,
            self.trace,
            refused=self.weather.refused,
            behind=self.weather.behind,
            up_to_date=self._is_scheduler,
            clock=self._clock,
            hook=self._hook,
            batch=rng.choice((1, 4, 20)),
            piece=rng.randint(1, 3),
        )
        self._database = MemoryDatabase(clock=self._clock)
        self._broker = MemoryBroker(clock=self._clock)
        self._history = History(self._source)
        sessions = Sessions(self._interleaving, self._database, self.trace, clock=self._clock)
        self._faults = Faults(rng, self.weather, self._interleaving, self._source, sessions, self._broker, self.trace)
        self._destination = FragileDestination(self._database, sessions, hook=self._hook)
        self._truth = Truth(self._history, self._database, self.weather.on_drop, self.trace)
        self._ending = Ending(self._source, self._database, self._broker, self._history)
        self._life = Life(rng, self._source, self._history, self.weather, self.trace)
        self._crew = Crew(
            rng, self._source, self._destination, self._broker, self._ending, clock=self._clock, hook=self._hook
        )
        self._deployment = Deployment(
            rng, self.weather, settings, self._interleaving, self._crew, self.trace, hook=self._hook
        )
        self._deeds = [
            (rate, deed)
            for rate, deed in (
                (self.weather.outages, self._faults.server_away),
                (self.weather.redis, self._faults.redis_loses),
                (self.weather.streams, self._faults.cut_streams),
                (self.weather.poison, self._poison_or_heal),
                (self.weather.breakage, self._break_or_mend),
                (self.weather.losses, self._life.lose_history),
                (self.weather.repartitioned, self._deployment.repartition),
            )
            if rate
        ]

    def _settings(self, rng: random.Random) -> Settings:
        return drawn(rng, self.weather)

    def run(self) -> list[str]:
        """Live through it; returns what went wrong."""
        if self.weather.loaded:
            for _ in range(self._rng.randint(0, 12)):
                self._life.change(late=False)
        self._deployment.begin()
        try:
            for _ in range(self.weather.turns):
                self._befall()
                self._turn()
                if self._wrongs():
                    return self._wrongs()
            return self._settle()
        finally:
            self._interleaving.end()

    def _turn(self) -> None:
        """Let the actors run for a while; whoever has ended meanwhile is started again."""
        self._interleaving.let_run()
        self._faults.pass_turn()
        self._deployment.replace_ended()

    def _wrongs(self) -> list[str]:
        return [*self._interleaving.crashes, *self._truth.wrongs, *self._deployment.bloated()]

    def _settle(self) -> list[str]:
        """Nothing befalls anybody any more: all must catch up by themselves, and stay so."""
        self.trace.note("nothing befalls anybody any more")
        self._faults.cease()
        self._interleaving.patience, self._interleaving.stickiness = 12.0, 0.9
        if self.weather.repartitioned:
            self._deployment.complete()
        ending, broken = self._ending, self._destination.broken
        if broken:
            wrong = self._until(lambda: not self._differences(), "the tables that are not broken never caught up")
            if wrong:
                return wrong
            self.trace.note("all tables are mended")
            broken.clear()
        if self.weather.poison:
            self._crew.person_rests = True
            wrong = self._until(lambda: self._at_rest() and not ending.jobs_amiss(), "dead letters never showed")
            if wrong:
                return wrong
            self.trace.note("all documents are healed")
            self._database.poison.clear()
            self._crew.person_rests = False
        wrong = self._until(lambda: self._at_rest() and not ending.open_letters(), "it never came to rest")
        for _ in range(AFTERMATH_TURNS):
            self._quiet_turn()
        return wrong or self._wrongs() or self._differences()

    def _at_rest(self) -> bool:
        return self._ending.is_at_rest(SCHEMA)

    def _differences(self) -> list[str]:
        return self._ending.differences(self.weather.on_drop, self._destination.broken)

    def _until(self, condition: Callable[[], bool], otherwise: str) -> list[str]:
        """What went wrong before the condition held."""
        for _ in range(QUIET_TURNS):
            if self._wrongs():
                return self._wrongs()
            if condition():
                return []
            self._quiet_turn()
        return [otherwise, *self._differences()]

    def _quiet_turn(self) -> None:
        self._time += QUIET_SECONDS
        self._turn()

    def _is_scheduler(self) -> bool:
        """docs/guarantees.md says what a scheduler asks of the source's time."""
        actor = self._interleaving.current
        return actor is not None and actor.name.startswith("scheduler")

    def _clock(self) -> float:
        return self._time

    def _hook(self, name: str) -> None:
        """Every call of every part comes through here, and so does every answer to one that changed something."""
        actor = self._interleaving.current
        if actor is None or actor.killed:
            return
        call = call_of(name)
        self.trace.call(actor, call)
        if call.is_wait:
            self._interleaving.switch(idle=True)
            return
        if call.changed_rows:
            self._truth.look()
        elif call.changed_checkpoint:
            self._truth.look_at_checkpoint(self._database.schemas[SCHEMA])
        if not call.is_answer:
            self._faults.before(actor, call)
            self._interleaving.switch()
        self._faults.raise_at(actor, call)

    def _befall(self) -> None:
        rng = self._rng
        for rate, deed in self._deeds:
            if rng.random() < rate:
                deed()
        dice = rng.random()
        if dice < 0.47:
            self._life.change(late=SCHEMA in self._database.schemas)
        elif dice < 0.92:
            self._time += rng.choice((0.01, 0.3, 1.1, 6.0))
        elif dice < 0.96:
            self._interleaving.freeze(rng.choice(self._interleaving.actors), rng.choice((3, 10, 40)))
        elif dice < 0.98:
            self._deployment.kill_one()
        else:
            self._deployment.stop_one()

    def _poison_or_heal(self) -> None:
        self._database.poison ^= {key_of(self._rng.choice(KEYS))}
        self.trace.note(f"poison: {sorted(key.text for key in self._database.poison)}")

    def _break_or_mend(self) -> None:
        self._destination.broken ^= {TableRef(SCHEMA, self._rng.choice(ALL_TABLES))}
        self.trace.note(f"broken: {sorted(ref.table for ref in self._destination.broken)}")
