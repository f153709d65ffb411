"""What befalls the actors: at a call they stand still, die, or get an error.

Between turns servers go away for a while, and come back without their data.
"""

from __future__ import annotations

import random

from tests.simulation.calls import Call
from tests.simulation.interleaving import Actor, Interleaving
from tests.simulation.sessions import Sessions
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather
from warp.errors import ServerUnreachable, StreamInvalid, Transient
from warp.testing import MemoryBroker, MemorySource

_FULL = "the memory of Redis"


class Faults:
    """Everything that goes wrong in a run, until `cease`."""

    def __init__(
        self,
        rng: random.Random,
        weather: Weather,
        interleaving: Interleaving,
        source: MemorySource,
        sessions: Sessions,
        broker: MemoryBroker,
        trace: Trace,
    ) -> None:
        self._rng = rng
        self._interleaving = interleaving
        self._source = source
        self._sessions = sessions
        self._broker = broker
        self._trace = trace
        self._pauses = weather.pauses
        self._errors = weather.faults
        self._slow_loads = weather.slow_loads
        self._away: dict[str, int] = {}
        """Servers that are away, and the turn in which they come back."""
        self._saved = [broker.save()]

    def before(self, actor: Actor, call: Call) -> None:
        """An actor is about to call a part: it may stand still there first, or die."""
        if not (self._pauses or self._slow_loads):
            return
        dice = self._rng.random()
        if self._slow_loads and call.name == "source.read" and dice < 0.5:
            self._interleaving.freeze(actor, self._rng.randint(5, 40))
        elif dice < self._pauses:
            self._interleaving.freeze(actor, self._rng.choice((1, 5, 25)))
        elif dice < self._pauses * 1.1:
            self._trace.note(f"{actor.name} dies")
            self._interleaving.die()

    def raise_at(self, actor: Actor, call: Call) -> None:
        """The call comes to nothing, for some reason; or, where it names an answer, that is lost."""
        if call.in_transaction and self._sessions.is_ended(actor):
            raise _unreachable(call, "terminating connection due to administrator command")
        if self._away:
            if _FULL in self._away and call.takes_memory:
                raise Transient("out of memory")
            if call.server in self._away:
                raise _unreachable(call, "connection refused")
        if self._errors and self._rng.random() < self._errors:
            self._trace.note(f"{call.name} fails")
            if call.name == "stream.next_batch":
                raise StreamInvalid("the change stream was cut")
            raise self._rng.choice((Transient("not now"), _unreachable(call, "gone")))

    def pass_turn(self) -> None:
        """Servers come back whose time has come."""
        for server in [server for server, turn in self._away.items() if turn <= self._interleaving.turns]:
            self._trace.note(f"{server} is back")
            del self._away[server]

    def cease(self) -> None:
        """Nothing befalls anybody from now on."""
        self._pauses = self._errors = 0.0
        self._slow_loads = False
        self._away.clear()
        for actor in self._interleaving.actors:
            self._interleaving.freeze(actor, 0)

    def server_away(self) -> None:
        """A server is away for a while, or only the backend of one transaction, for ever."""
        server = self._rng.choice(("MongoDB", "PostgreSQL", "Redis", _FULL, "backend"))
        if server == "backend":
            self._sessions.end(1)
            return
        self._trace.note(f"{server} is away")
        self._away[server] = self._interleaving.turns + self._rng.choice((1, 4, 12))
        if server == "PostgreSQL":
            self._sessions.end()
        elif server == "MongoDB":
            self._source.cut_streams()

    def cut_streams(self) -> None:
        """Every stream must be opened again."""
        self._trace.note("streams are cut")
        self._source.cut_streams()

    def redis_loses(self) -> None:
        """Redis is empty, or as it was once, or without one of its keys; or it only saves what it has."""
        dice, logs = self._rng.random(), self._broker.state.logs
        if dice < 0.3:
            self._saved.append(self._broker.save())
        elif dice < 0.5:
            self._trace.note("Redis comes back with an older state")
            self._broker.restore(self._rng.choice(self._saved))
        elif dice < 0.75 and logs:
            _, table, number = log = self._rng.choice(list(logs))
            self._trace.note(f"Redis loses the log of {table}/{number}")
            del logs[log]
        else:
            self._trace.note("Redis loses everything")
            self._broker.flush()


def _unreachable(call: Call, reason: str) -> ServerUnreachable:
    return ServerUnreachable(call.server, "somewhere", reason)
