"""What must hold of the destination whatever happened on the way, at every commit and at every checkpoint.

Judged by the source's history and by what is committed. That a document is parked, or its table is read again, excuses
a row for a while: how the run ends says whether that was true.
"""

from __future__ import annotations

from bisect import bisect_right

from tests.simulation.history import History, Place, State
from tests.simulation.trace import Trace
from warp.change import BEGINNING, Operation, TableRef
from warp.destinations.base import OnDrop
from warp.metadata.base import LetterState, SchemaState
from warp.testing import MemoryDatabase, Row
from warp.testing.documents import key_hash


class Truth:
    """Watches the destination, and keeps what it does wrong in `wrongs`."""

    def __init__(self, history: History, database: MemoryDatabase, on_drop: OnDrop, trace: Trace) -> None:
        self._history = history
        self._database = database
        self._on_drop = on_drop
        self._trace = trace
        self._rows: dict[Place, Row] = {}
        """As they were at the last look."""
        self._buried: dict[Place, int] = {}
        """The time before which a document whose row was deleted must not come back."""
        self._markers: dict[tuple[TableRef, int], str] = {}
        self._checkpoint = BEGINNING
        self.wrongs: list[str] = []

    def look(self) -> None:
        """Compare what is committed now with what was before."""
        for partition, marker in self._database.markers.items():
            if marker.position != self._markers.get(partition):
                self._trace.note(f"{partition[0].table}/{partition[1]} of {marker.partitions} is at {marker.position}")
                if marker.position < self._markers.get(partition, BEGINNING):
                    self._wrong(f"the marker of {partition[0].table}/{partition[1]} went back")
                self._markers[partition] = marker.position
        rows = self._rows
        for ref, present in self._database.rows.items():
            for key, row in present.items():
                if rows.get((ref, key)) is not row:
                    self._written((ref, key), rows.get((ref, key)), row)
                    rows[ref, key] = row
        for place in [(ref, key) for ref, key in rows if key not in self._database.rows[ref]]:
            self._deleted(place, rows.pop(place))

    def look_at_checkpoint(self, schema: SchemaState) -> None:
        """Whether what the checkpoint has passed is applied."""
        if schema.checkpoint.position != self._checkpoint:
            self._trace.note(f"the checkpoint is at {schema.checkpoint.position}")
            if schema.checkpoint.position < self._checkpoint:
                self._wrong("the checkpoint went back")
            self._checkpoint = schema.checkpoint.position
            for place, states in self._history.states.items():
                passed = bisect_right(states, self._checkpoint, key=lambda state: state.position)
                if passed and states[passed - 1].ts > max(schema.start_ts, self._read_again(place[0])):
                    self._check_passed(place, states[passed - 1], states[passed:])

    def _wrong(self, what: str) -> None:
        self._trace.note(f"WRONG: {what}")
        self.wrongs.append(what)

    def _written(self, place: Place, before: Row | None, row: Row) -> None:
        self._trace.note(f"row {_text(place)}: {_shown(before)} becomes {_shown(row)}")
        if row.ts < max(before.ts if before else 0, self._buried.get(place, 0)):
            self._wrong(f"row {_text(place)} went back in time")
        states = self._history.states[place]
        if row.is_deleted:
            self._check_deleted(place, before)
            return
        then = max((state.ts for state in states if state.ts <= row.ts), default=0)
        if row.fields["v"] not in [state.stamp for state in states if state.ts == then]:
            self._wrong(f"row {_text(place)} is not what its document was at that time")
        known, marker = self._database.known.get(place[0]), self._marker(place)
        if known is not None and row.ts < known.kept:
            return  # nobody takes it for more than what it once was
        for number, state in enumerate(states, 1):
            if row.ts < state.ts and state.position <= marker and not self._is_excused(place, state, states[number:]):
                self._wrong(f"row {_text(place)} is older than what its partition has applied")

    def _deleted(self, place: Place, before: Row) -> None:
        self._trace.note(f"row {_text(place)}: {_shown(before)} is gone")
        self._check_deleted(place, before)

    def _check_deleted(self, place: Place, before: Row | None) -> None:
        """A row went, which showed its document as it was `before`: then that was deleted since."""
        if before is not None and before.is_deleted:
            return  # its table went with it
        since, marker, known = before.ts if before else 0, self._marker(place), self._database.known.get(place[0])
        floor, kept, settled = (known.floor, known.kept, known.settled) if known else (0, 0, 0)
        ends = [
            state
            for state in self._history.states[place]
            if state.stamp is None
            and since <= state.ts
            # Of a drop that was lost with the history nobody knows that its rows were to be kept.
            and (kept <= since < state.ts <= floor or not self._is_kept(place, state))
        ]
        # A row whose document is parked can be swept, long before that ends; and what followed its delete in the same
        # step may be parked in place of both.
        passed = [
            state.ts
            for state in ends
            if (state.position <= marker or state.ts <= settled) and not self._is_unsettled(place, state.ts)
        ]
        self._buried[place] = min(passed, default=since)
        if not ends and not self._is_parked(place, since):
            self._wrong(f"row {_text(place)} was deleted although its document never was")

    def _check_passed(self, place: Place, last: State, later: list[State]) -> None:
        """The checkpoint passed `last`; what came `later` may be applied as well."""
        row = self._database.rows.get(place[0], {}).get(place[1])
        shown = row if row is not None and not row.is_deleted else None
        is_missing = shown is None and last.stamp is not None and not _is_gone(later)
        is_old = shown is not None and shown.ts < last.ts
        if (is_missing or is_old) and not self._is_excused(place, last, later):
            self._wrong(f"the checkpoint passed a change of {_text(place)} that is not applied")

    def _is_excused(self, place: Place, state: State, later: list[State]) -> bool:
        """Whether a state that is done with need not show in its row."""
        marker, looked_up = self._marker(place), False
        for each in (state, *later):
            if looked_up and each.stamp is None:
                return True  # it was gone when it was looked up, so that nothing was written: the delete will do it
            looked_up |= each.operation is Operation.UPDATE and each.position <= marker
        return self._is_parked(place, state.ts) or self._is_kept(place, state)

    def _read_again(self, ref: TableRef) -> int:
        """Up to this time only reading a table again says what there is, and how the run ends says whether that was
        done."""
        known = self._database.known.get(ref)
        return max(known.floor, known.kept) if known else 0

    def _is_parked(self, place: Place, ts: int) -> bool:
        """Whether there is, or was, a dead letter of that time or later."""
        letters = self._database.letters.values()
        return any((stored.letter.ref, stored.letter.key) == place and stored.letter.ts >= ts for stored in letters)

    def _is_unsettled(self, place: Place, ts: int) -> bool:
        """Whether there is a dead letter of that time or later that nothing newer, and no replay, has come after."""
        return any(
            (stored.letter.ref, stored.letter.key) == place and stored.letter.ts >= ts
            for stored in self._database.letters.values()
            if stored.state in (LetterState.OPEN, LetterState.DISCARDED)
        )

    def _is_kept(self, place: Place, state: State) -> bool:
        """Whether the document went with its table, in a way that leaves its row."""
        return self._on_drop is OnDrop.KEEP and state.ts in self._history.dropped.get(place[0], ())

    def _marker(self, place: Place) -> str:
        """How far the partition of a document is applied."""
        known = self._database.known.get(place[0])
        marker = known and self._database.markers.get((place[0], key_hash(place[1]) % known.partitions))
        return marker.position if marker else BEGINNING


def _is_gone(states: list[State]) -> bool:
    return any(state.stamp is None for state in states)


def _text(place: Place) -> str:
    return f"{place[0].table} {place[1].text}"


def _shown(row: Row | None) -> str:
    if row is None:
        return "nothing"
    return f"v={row.fields['v']} as of {row.ts:016x}{' (deleted)' if row.is_deleted else ''}"
