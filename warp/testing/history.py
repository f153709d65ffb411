"""Tables of the in-memory destination that keep their history: rows by document and place, only ever added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from warp.change import Key, TableRef
from warp.destinations.base import Written
from warp.errors import Poison
from warp.evolution.shape import Shape
from warp.history import ENDS, FIRST, Event, HistoryRow
from warp.sources.base import StoredRow
from warp.testing.database import HistoryEntry, MemoryDatabase, Place, Row
from warp.testing.fields import row_of


class History:
    """What one transaction sees of all histories, and adds to them."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._added: dict[tuple[TableRef, Key], dict[Place, HistoryEntry]] = {}

    def append(self, ref: TableRef, shape: Shape, rows: Sequence[HistoryRow]) -> Written:
        """See `warp.destinations.base.Transaction`; dead letters are left to the transaction."""
        if any(row.key in self._database.poison for row in rows):
            raise Poison("this document can never be stored")
        written = Written()
        for row in rows:
            fields = None if row.record is None else row_of(shape, row.record, written)
            written.appended += self._add(ref, row, fields)
        self._end_late(ref, rows)
        written.stale = len(rows) - written.appended
        return written

    def _add(self, ref: TableRef, row: HistoryRow, fields: StoredRow | None) -> bool:
        """Add a row; False: there is nothing to add."""
        entries = self.of(ref, row.key)
        if row.event is Event.LOAD and any(place > (row.ts, FIRST) for place in entries):
            return False
        if (row.ts, row.position) in entries:
            return False
        self._put(ref, row.key, (row.ts, row.position), HistoryEntry(row.event, fields, row.record_ts))
        return True

    def _end_late(self, ref: TableRef, rows: Iterable[HistoryRow]) -> None:
        """End the documents of rows that came when their table had been dropped, or swept, already."""
        kept, floor = _ended(self._database, ref)
        for row in rows:
            if row.ts < kept:
                self.end(ref, row.key, Event.DROP, kept, before=kept)
            if row.ts < floor:
                self.end(ref, row.key, Event.GONE, floor)

    def end(self, ref: TableRef, key: Key, event: Event, ts: int, *, before: int | None = None) -> bool:
        """End a document whose last row, of those `before`, is older than `ts`; False: there is nothing to end."""
        entries = self.of(ref, key)
        places = [place for place in entries if before is None or place[0] < before]
        if not places or max(places)[0] >= ts or entries[max(places)].event in ENDS or (ts, FIRST) in entries:
            return False
        self._put(ref, key, (ts, FIRST), HistoryEntry(event))
        return True

    def of(self, ref: TableRef, key: Key) -> Mapping[Place, HistoryEntry]:
        """The rows of a document."""
        return {**self._database.histories.get(ref, {}).get(key, {}), **self._added.get((ref, key), {})}

    def _put(self, ref: TableRef, key: Key, place: Place, entry: HistoryEntry) -> None:
        self._added.setdefault((ref, key), {})[place] = entry

    def commit(self) -> None:
        """Make what was added visible."""
        for (ref, key), entries in self._added.items():
            held = self._database.histories.setdefault(ref, {}).setdefault(key, {})
            for place, entry in entries.items():
                held.setdefault(place, entry)
        self._added.clear()


def _ended(database: MemoryDatabase, ref: TableRef) -> tuple[int, int]:
    """When the source dropped the table, and the floor as of which it was, or can be, swept; 0: never."""
    known = database.known.get(ref)
    if known is None:
        return 0, 0
    return known.kept, known.floor if known.is_loaded else 0


def end_all(
    database: MemoryDatabase,
    ref: TableRef,
    event: Event,
    ts: int,
    *,
    before: int | None = None,
    limit: int | None = None,
) -> int:
    """End documents, at once; how many there were."""
    seen, ended = History(database), 0
    for key in list(database.histories.get(ref, {})):
        if ended != limit and seen.end(ref, key, event, ts, before=before):
            ended += 1
    seen.commit()
    return ended


def present(database: MemoryDatabase, ref: TableRef) -> dict[Key, Row]:
    """What the last row of each document says that it is, where it is there."""
    last = ((key, *max(entries.items())) for key, entries in database.histories.get(ref, {}).items())
    return {key: Row(place[0], entry.fields) for key, place, entry in last if entry.fields is not None}
