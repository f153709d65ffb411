"""What really happened at the source, and what must hold of the destination whatever happened on the way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from warp.change import Key, TableRef
from warp.metadata.base import SchemaState
from warp.testing import MemoryDatabase, MemorySource, Row

Place = tuple[TableRef, Key]


class State(NamedTuple):
    """A document from one change on; `number` counts changes, also deletes, over all documents."""

    ts: int
    position: str
    number: int
    exists: bool


class Truth:
    """Watches the destination, and keeps what it does wrong in `wrongs`."""

    def __init__(self, source: MemorySource, database: MemoryDatabase) -> None:
        self._source = source
        self._database = database
        self._history: dict[Place, list[State]] = {}
        self._seen = 0
        self._before: dict[Place, Row | None] = {}
        self._floor: dict[Place, int] = {}
        """The time before which a document that was deleted must not come back."""
        self._markers: dict[tuple[TableRef, int], str] = {}
        self._checkpoint = ""
        self.wrongs: list[str] = []

    def note(self) -> None:
        """Take in what the source has done; a document says in `v` by which change it became what it is."""
        for number, logged in enumerate(self._source.log[self._seen :], self._seen + 1):
            exists = logged.operation is not None and logged.operation.value != "delete"
            state = State(logged.ts, logged.position, number, exists)
            self._history.setdefault((logged.ref, logged.key), []).append(state)
        self._seen = len(self._source.log)

    def look(self) -> None:
        """Compare what is committed now with what was before."""
        for place in [*self._places(), *self._before]:
            row = self._row(place)
            if row != self._before.get(place):
                self._changed(place, self._before.get(place), row)
                self._before[place] = row
        for partition, marker in self._database.markers.items():
            if marker.position < self._markers.get(partition, ""):
                self.wrongs.append(f"marker of {partition} went back")
            self._markers[partition] = marker.position

    def look_at_checkpoint(self, schema: SchemaState | None) -> None:
        """Whether what the checkpoint has passed is applied."""
        if schema is not None and schema.checkpoint.position != self._checkpoint:
            self._checkpoint = schema.checkpoint.position
            self._check_checkpoint(schema.start_ts)

    def differences(self) -> list[str]:
        """In what rows and documents differ, poison aside: of that there must be dead letters."""
        found = []
        for ref in self._source.documents.keys() | self._database.rows.keys():
            documents = self._source.documents.get(ref, {})
            rows = {key: row for key, row in self._database.rows.get(ref, {}).items() if not row.is_deleted}
            for key in documents.keys() | rows.keys():
                if key in self._database.poison:
                    parked = any((of, whose) == (ref, key) for of, _, whose in self._database.letters)
                    if key in rows or (key in documents and not parked):
                        found.append(f"{ref} {key.text}: poison that is not parked")
                elif key not in rows:
                    found.append(f"{ref} {key.text}: missing")
                elif key not in documents:
                    found.append(f"{ref} {key.text}: extra")
                elif names := self._source.differences(documents[key], key, rows[key].fields):
                    found.append(f"{ref} {key.text}: different in {names}")
        return sorted(found)

    def _places(self) -> Iterator[Place]:
        for ref, rows in self._database.rows.items():
            for key in rows:
                yield ref, key

    def _row(self, place: Place) -> Row | None:
        return self._database.rows.get(place[0], {}).get(place[1])

    def _changed(self, place: Place, before: Row | None, row: Row | None) -> None:
        history = self._history[place]
        if row is None:
            assert before is not None
            deletes = [state.ts for state in history if not state.exists and state.ts >= before.ts]
            self._floor[place] = min(deletes, default=before.ts)
            if not deletes:
                self.wrongs.append(f"{place} was deleted although it never was after {before.ts}")
            return
        if row.ts < max(before.ts if before else 0, self._floor.get(place, 0)):
            self.wrongs.append(f"{place} went back in time")
        if row.is_deleted:
            return
        then = max((state.ts for state in history if state.ts <= row.ts), default=0)
        if row.fields["v"] not in [state.number for state in history if state.ts == then and state.exists]:
            self.wrongs.append(f"{place} is not what its document was at that time")

    def _check_checkpoint(self, start_ts: int) -> None:
        """Of each document, what the checkpoint has passed must have been written, or something later."""
        for place, history in self._history.items():
            passed = bisect_right(history, self._checkpoint, key=lambda state: state.position)
            if not passed or place[1] in self._database.poison or history[passed - 1].ts <= start_ts:
                continue
            if any(not state.exists for state in history[passed:]):
                continue  # an update that finds its document gone writes nothing: the delete to come will do it
            last, row = history[passed - 1], self._row(place)
            shown = row if row is not None and not row.is_deleted else None
            if (shown is None and last.exists) or (shown is not None and shown.ts < last.ts):
                self.wrongs.append(f"the checkpoint passed a change of {place} that is not applied")
