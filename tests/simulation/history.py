"""What really happened at the source: every state of every document, from its log and its documents alone."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from warp.change import BEGINNING, Key, Operation, TableRef
from warp.sources.base import TableFate
from warp.testing import MemorySource
from warp.testing.stream import Logged

Place = tuple[TableRef, Key]


class State(NamedTuple):
    """A document from one change on."""

    ts: int
    position: str
    stamp: int | None
    """What its field `v` says, which no other state of any document does; None: it does not exist."""
    operation: Operation | None
    """None: something happened to its whole table, and the stream does not name the document."""


class History:
    """All states of all documents. `note` must be called after each deed of the source."""

    def __init__(self, source: MemorySource) -> None:
        self._source = source
        self._seen = 0
        self.states: defaultdict[Place, list[State]] = defaultdict(list)
        """In the order of their positions."""
        self.dropped: dict[TableRef, list[int]] = {}
        """When each table was dropped, or went by another name."""
        self.position = BEGINNING
        """Of the last thing that happened."""

    def note(self) -> None:
        """Take in what the source has done since."""
        for logged in self._source.log[self._seen :]:
            self.position = logged.position
            if logged.event is None:
                self._note_change(logged)
            elif logged.event.fate is TableFate.DROPPED:
                self._end_all(logged)
                self.dropped.setdefault(logged.ref, []).append(logged.ts)
            else:
                self._end_all(logged)
                for key, document in self._source.documents[logged.ref].items():
                    self.states[logged.ref, key].append(State(logged.ts, logged.position, document["v"], None))
        self._seen = len(self._source.log)

    def lose(self) -> None:
        """Have the source throw away its log."""
        self.note()
        self._source.lose_history()
        self._seen = 0

    def exists(self, place: Place) -> bool:
        """Whether the document exists now."""
        states = self.states.get(place)
        return bool(states and states[-1].stamp is not None)

    def last_drop(self, ref: TableRef) -> int:
        """When the table was dropped last; 0: never."""
        return max(self.dropped.get(ref, ()), default=0)

    def _note_change(self, logged: Logged) -> None:
        document = self._source.documents.get(logged.ref, {}).get(logged.key)
        stamp = document["v"] if document is not None else None
        self.states[logged.ref, logged.key].append(State(logged.ts, logged.position, stamp, logged.operation))

    def _end_all(self, logged: Logged) -> None:
        for place, states in self.states.items():
            if place[0] == logged.ref and states[-1].stamp is not None:
                states.append(State(logged.ts, logged.position, None, None))
