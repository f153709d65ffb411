"""Values of another kind than their column's, which it did not take: what becomes of the column, and of them.

The lattice: an int column becomes a double or a decimal one; and where `evolution.conflict` says so, any column becomes
text, or jsonb. Whatever needs the table to be written anew must be allowed by `evolution.rewrite`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Protocol

from warp.evolution.rules import Conflict, Rewrite, Rules, Settled
from warp.evolution.shape import TAKE_ALL, Column, Shape
from warp.values import Kind

SMALL_ROWS = 100_000
"""A table of up to so many rows is small."""
EXACT_IN_DOUBLE = 2**53
"""Integers up to this one, and down to its negative, are all doubles."""

_WIDER_NUMBER = {Kind.DOUBLE: Kind.DOUBLE, Kind.DECIMAL: Kind.DECIMAL}
"""What an int column becomes for a value of that kind."""
_OF_CONFLICT: Mapping[Conflict, Kind | Settled] = {
    Conflict.EXTRA: Settled.CONFLICT_EXTRA,
    Conflict.DEAD_LETTER: Settled.CONFLICT_DEAD_LETTER,
    Conflict.TEXT: Kind.TEXT,
    Conflict.JSONB: Kind.ANY,
}
_SAME_VALUES = frozenset({(Kind.STRING, Kind.TEXT), (Kind.JSON, Kind.ANY)})
"""Nothing in such a column changes."""


class Facts(Protocol):
    """What only the table can say; asked where it matters."""

    def is_small(self) -> bool:
        """Whether the table has no more than SMALL_ROWS rows."""

    def is_exact_in_double(self, column: Column) -> bool:
        """Whether an int column holds no number beyond ±2^53."""

    def can_be_rewritten(self) -> bool:
        """False once the destination has refused to."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """Facts that are known, or taken for granted."""

    small: bool = True
    exact: bool = True
    rewritable: bool = True

    def is_small(self) -> bool:
        return self.small

    def is_exact_in_double(self, column: Column) -> bool:
        return self.exact

    def can_be_rewritten(self) -> bool:
        return self.rewritable


EMPTY = Assumed()
"""Of a table without rows."""


@dataclass(frozen=True, slots=True)
class NotExact:
    """Facts of a table that is about to get a number beyond ±2^53 into the int column in question."""

    facts: Facts

    def is_small(self) -> bool:
        return self.facts.is_small()

    def is_exact_in_double(self, column: Column) -> bool:
        return False

    def can_be_rewritten(self) -> bool:
        return self.facts.can_be_rewritten()


def with_misfits(column: Column, kinds: Collection[Kind], rules: Rules, facts: Facts) -> Column:
    """The column that takes values of those kinds, or has it settled what becomes of them.

    Those that come together are decided on in the order of `Kind`, whatever order they came in; what came before them,
    and was decided on already, counts first. Of these kinds, what was settled by a rule that is no more in force is
    decided anew.
    """
    if column.kind in TAKE_ALL:
        return column
    stale = {value for value in kinds if not _is_in_force(column, value, rules)}
    settled = {value: rule for value, rule in column.settled.items() if value not in stale}
    became = column
    waiting = [value for value in Kind if value in kinds and value not in settled and value is not column.kind]
    while waiting and became.kind not in TAKE_ALL:
        value = waiting.pop(0)
        outcome = _outcome(became, value, rules, facts)
        if isinstance(outcome, Settled):
            settled[value] = outcome
            continue
        became = replace(column, kind=outcome)
        # What did not fit before may do now, or be settled by another rule.
        waiting = [other for other in Kind if other in {*settled, *waiting} - {outcome}]
        settled = {}
    return replace(became, settled={value: settled[value] for value in Kind if value in settled})


def in_force(shape: Shape, rules: Rules) -> Shape:
    """The shape without what was settled by rules that are no more in force: such values are to be told as misfits."""
    columns = {
        field: replace(column, settled={value: column.settled[value] for value in left})
        for field, column in shape.columns.items()
        if len(left := [value for value in column.settled if _is_in_force(column, value, rules)]) < len(column.settled)
    }
    return replace(shape, columns={**shape.columns, **columns}) if columns else shape


def _outcome(column: Column, value: Kind, rules: Rules, facts: Facts) -> Kind | Settled:
    """What an int column and so on becomes for a value of another kind that it did not take."""
    wider = _WIDER_NUMBER.get(value) if column.kind is Kind.INT else None
    if wider is not None:
        refused = _refused(rules, facts)
        if refused is not None:
            return refused
        if wider is Kind.DECIMAL or facts.is_exact_in_double(column):
            return wider
    outcome = _OF_CONFLICT[rules.conflict]
    if isinstance(outcome, Settled):
        return Settled.NOT_EXACT if wider and outcome is Settled.CONFLICT_EXTRA else outcome
    if (column.kind, outcome) in _SAME_VALUES:
        return outcome
    return _refused(rules, facts) or outcome


def _refused(rules: Rules, facts: Facts) -> Settled | None:
    """Why the table may not be written anew; None: it may."""
    if rules.rewrite is Rewrite.NEVER:
        return Settled.REWRITE_NEVER
    if not facts.can_be_rewritten():
        return Settled.REFUSED
    if rules.rewrite is Rewrite.SMALL and not facts.is_small():
        return Settled.REWRITE_SMALL
    return None


def _is_in_force(column: Column, value: Kind, rules: Rules) -> bool:
    """Whether what is settled for such values is what these rules may come to."""
    return column.settled.get(value) in _outcomes(column.kind, value, rules.rewrite, rules.conflict)


@lru_cache(maxsize=4096)
def _outcomes(kind: Kind, value: Kind, rewrite: Rewrite, conflict: Conflict) -> frozenset[Kind | Settled]:
    """What may come of such a value under these rules, whatever the table is like."""
    column, rules = Column(name="", kind=kind), Rules(rewrite=rewrite, conflict=conflict)
    facts = [Assumed(*each) for each in product((True, False), repeat=3)]
    return frozenset(_outcome(column, value, rules, each) for each in facts)
