"""Values that a destination keeps in `_extra`: why, and what that says about their column."""

from __future__ import annotations

from warp.change import dotted
from warp.destinations.base import Written
from warp.errors import Poison
from warp.evolution.rules import Settled
from warp.evolution.shape import TAKE_ALL, Column, Shape
from warp.values import Kind, Opaque, Value, kind_of

NULL = "null"
"""The reason why most values are kept: a column cannot tell null from a missing field."""
_DEAD_LETTER = "dead_letter"


def note(written: Written, name: str, value: Value, column: Column | None) -> None:
    """Count a value that its column does not hold, or that has no column, and keep in mind what kind it is of."""
    kind = kind_of(value)
    written.kept[name, _reason(value, kind, column)] += 1
    if kind is not None and column is not None and kind is not column.kind and column.kind not in TAKE_ALL:
        written.misfits.setdefault(name, set()).add(kind)


def _reason(value: Value, kind: Kind | None, column: Column | None) -> str:
    if kind is None:
        return value.reason if isinstance(value, Opaque) else NULL
    if column is None:
        return "no_column"
    if column.kind is Kind.TEXT and kind is not Kind.STRING:
        return "text"
    return _DEAD_LETTER if column.settled.get(kind) is Settled.CONFLICT_DEAD_LETTER else "does_not_fit"


def refusal(shape: Shape, written: Written) -> Poison | None:
    """Why documents of which `written` tells must become dead letters; None: none of them must."""
    for name, reason in written.kept:
        if reason == _DEAD_LETTER:
            column = shape.columns[name]
            letters = {kind for kind, rule in column.settled.items() if rule is Settled.CONFLICT_DEAD_LETTER}
            found = " or ".join(sorted(written.misfits[name] & letters))
            shown = dotted(name).encode(errors="backslashreplace").decode()
            return Poison(
                f'the field "{shown}" holds a value of the kind {found}, which its column of the kind {column.kind} '
                "does not take (evolution.conflict: dead_letter)",
                remedy="change the document, or evolution.conflict; then: cartridge-warp dlq replay",
            )
    return None
