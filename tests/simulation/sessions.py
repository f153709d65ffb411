"""PostgreSQL's sessions: who is in a transaction, and since when.

Ended from outside, it is rolled back, and whoever was in it learns that at the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.simulation.interleaving import Actor, Interleaving
from tests.simulation.trace import Trace
from warp.testing import MemoryDatabase


class Sessions:
    """The transactions that are open, one for each actor at most."""

    def __init__(
        self, interleaving: Interleaving, database: MemoryDatabase, trace: Trace, *, clock: Callable[[], float]
    ) -> None:
        self._interleaving = interleaving
        self._database = database
        self._trace = trace
        self._clock = clock
        self._open: dict[Actor, tuple[object, float]] = {}
        self._ended: set[Actor] = set()

    def opened(self, transaction: object) -> None:
        """The actor that runs has a transaction."""
        if self._interleaving.current is not None:
            self._open[self._interleaving.current] = transaction, self._clock()

    def closed(self) -> None:
        """The actor that runs has none any more."""
        if self._interleaving.current is not None:
            self._open.pop(self._interleaving.current, None)
            self._ended.discard(self._interleaving.current)

    def is_ended(self, actor: Actor) -> bool:
        """Whether the transaction that an actor is in is none."""
        return actor in self._ended

    def end(self, most: int | None = None) -> None:
        """End all of them, or the oldest so many."""
        self._end(list(self._open)[:most])

    def end_stalled(self, seconds: float) -> int:
        """End those that were opened so long ago; how many they are."""
        now = self._clock()
        return self._end([actor for actor, (_, since) in self._open.items() if now - since > seconds])

    def _end(self, actors: Iterable[Actor]) -> int:
        ending = [actor for actor in actors if actor not in self._ended]
        for actor in ending:
            self._trace.note(f"the transaction of {actor.name} is ended")
            self._database.locks.release(self._open[actor][0])
            self._ended.add(actor)
        return len(ending)
