"""The independent check of order: what was seen of the rows, against what may follow it.

Knows nothing of how the mirror works, only what the writer promises: a document's stamp grows with each of its states,
across deletes too, and every attempt to delete a document is on record before it is made. No I/O.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be seen."""

    what: str
    table: str
    doc: str
    before: int
    """The stamp that was seen last, or that of the delete whose effect was seen."""
    now: int | None

    def __str__(self) -> str:
        return f"{self.table}: {self.doc} {self.what}: {self.before} before, {self.now or 'nothing'} now"


class Order:
    """What each table was last seen to hold. One thread looks, others may read the counts."""

    def __init__(self, ended: Mapping[str, Sequence[int]]) -> None:
        """`ended`: by document the stamps of all attempts to delete it, growing; it may go on growing meanwhile."""
        self.violations: list[Violation] = []
        self.looks = 0
        self.rows = 0
        """Rows seen, over all looks."""
        self.gone = 0
        """Times that a document was seen to be there no more."""
        self.back = 0
        """Times that it was there again."""
        self._ended = ended
        self._there: dict[str, dict[str, int]] = {}
        self._floors: dict[str, dict[str, int]] = {}
        """Of documents that are gone: by how their disappearance is seen, all states up to this stamp are over."""

    def saw(self, table: str, rows: Iterable[tuple[str, int]]) -> None:
        """All rows of a table as they were at one moment, later than that of the last call: document and stamp."""
        before, floors = self._there.get(table, {}), self._floors.setdefault(table, {})
        now = dict(rows)
        for doc, stamp in now.items():
            last = before.get(doc)
            if last is None:
                self._appeared(table, doc, stamp, floors)
            elif stamp < last:
                self._violation("went back", table, doc, last, stamp)
        for doc in before.keys() - now.keys():
            self._disappeared(table, doc, before[doc], floors)
        self._there[table] = now
        self.looks += 1
        self.rows += len(now)

    def _appeared(self, table: str, doc: str, stamp: int, floors: dict[str, int]) -> None:
        floor = floors.pop(doc, None)
        if floor is None:
            return
        self.back += 1
        if stamp <= floor:
            self._violation("is back after its deletion", table, doc, floor, stamp)

    def _disappeared(self, table: str, doc: str, last: int, floors: dict[str, int]) -> None:
        ended = self._ended.get(doc, ())
        place = bisect_left(ended, last)
        self.gone += 1
        if place == len(ended):
            self._violation("is gone without a delete", table, doc, last, None)
            floors[doc] = last
        else:
            # Of several attempts to delete the first may have been the one.
            floors[doc] = ended[place]

    def _violation(self, what: str, table: str, doc: str, before: int, now: int | None) -> None:
        self.violations.append(Violation(what, table, doc, before, now))
