"""Writing the documents of a table as a first load would, but for the writing: the shape that comes of it, and what the
table would not take.

As in a load, columns are decided on by what comes first, and what a column does not take may widen it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from warp.change import Write
from warp.destinations.survey import Survey
from warp.evolution.decide import decide
from warp.evolution.infer import Seen
from warp.evolution.misfits import EXACT_IN_DOUBLE, SMALL_ROWS, in_force
from warp.evolution.rules import Rules
from warp.evolution.shape import Column, Shape
from warp.values import Kind, Value


class Rehearsal:
    """One table. Takes its documents in the order in which they would be loaded."""

    def __init__(self, survey: Survey, shape: Shape | None, rules: Rules, rows: int = 0) -> None:
        """`shape` of the table that is there, laid out by the rules, and about how many rows it has."""
        self._survey = survey
        self._rules = rules
        self._rows = rows
        self._beyond_double: set[str] = set()
        self.shape = in_force(shape, rules) if shape else None
        """None as long as there is no table, nor a document."""
        self.kinds: dict[str, list[Kind]] = {}
        """The kinds that each column had in turn, by the name of its field, where it changed."""

    def take(self, writes: Sequence[Write]) -> Counter[tuple[str, str]]:
        """The values that would go to `_extra`, by field and reason; of the reason `dead_letter`, those whose documents
        would become dead letters."""
        seen = Seen()
        seen.add_keys(write.key for write in writes)
        seen.add_records((write.record for write in writes), self.shape)
        shape = self._decide(seen)
        while True:
            written = self._survey.fitted(shape, writes)
            misfits = Seen()
            misfits.add_misfits(written.misfits, (write.record for write in writes), shape)
            if not misfits.misfits:
                break
            shape = self._decide(misfits)
        self._rows += len(writes)
        self._note_beyond_double(shape, writes)
        return written.kept

    def _decide(self, seen: Seen) -> Shape:
        decision = decide(self.shape, seen, self._rules, self)
        for field, (before, after) in decision.widened.items():
            self.kinds.setdefault(field, [before.kind]).append(after.kind)
        self.shape = decision.after
        return decision.after

    def _note_beyond_double(self, shape: Shape, writes: Sequence[Write]) -> None:
        for field in [name for name, column in shape.columns.items() if column.kind is Kind.INT]:
            values = (write.record.get(field) for write in writes)
            if field not in self._beyond_double and any(_is_beyond_double(value) for value in values):
                self._beyond_double.add(field)

    # What decisions rest on (`warp.evolution.misfits.Facts`), as far as the documents so far say it.

    def is_small(self) -> bool:
        return self._rows <= SMALL_ROWS

    def is_exact_in_double(self, column: Column) -> bool:
        assert self.shape is not None
        field = next(name for name, each in self.shape.columns.items() if each.name == column.name)
        return field not in self._beyond_double

    def can_be_rewritten(self) -> bool:
        return True


def _is_beyond_double(value: Value) -> bool:
    return isinstance(value, int | float) and abs(value) > EXACT_IN_DOUBLE
