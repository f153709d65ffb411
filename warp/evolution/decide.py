"""From what a table is and what a batch brings: the shape that it needs. Nothing is decided twice: deciding again on
the shape that came out changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from warp.change import KeyKind
from warp.evolution.infer import Seen
from warp.evolution.misfits import EMPTY, Facts, NotExact, with_misfits
from warp.evolution.naming import column_name
from warp.evolution.rules import DOCUMENT_FIELD, Layout, Rules
from warp.evolution.shape import Column, Shape
from warp.values import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do to a table: `before` is None for one that is to be created."""

    before: Shape | None
    after: Shape
    new_columns: tuple[Column, ...]

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    @property
    def widens_key(self) -> bool:
        """Whether the key column must become text."""
        return self.before is not None and self.after.mixed_keys and not self.before.mixed_keys

    @property
    def widened(self) -> dict[str, tuple[Column, Column]]:
        """The columns that become of another kind, by the name of the field: before and after."""
        old = self.before.columns if self.before else {}
        return {
            name: (old[name], column)
            for name, column in self.after.columns.items()
            if name in old and old[name].kind is not column.kind
        }


def decide(shape: Shape | None, seen: Seen, rules: Rules, facts: Facts = EMPTY, *, key_refused: str = "") -> Decision:
    """The shape that a table needs to take what was seen.

    New fields get columns in the order in which they came, as long as there are fewer than `rules.max_columns`. What
    did not fit its column either widens it, or is settled: afterwards, nothing that was seen asks for anything. `facts`
    are asked where there are such misfits. `key_refused`: why the destination has refused, just now, to make the key
    column text. A table of another layout than the rules say is left as it is.
    """
    if shape and not shape.is_laid_out_by(rules):
        return Decision(before=shape, after=shape, new_columns=())
    key_kind = shape.key_kind if shape else seen.first_key_kind or KeyKind.OBJECT_ID
    columns = dict(shape.columns) if shape else {}
    columns.update(_decided(columns, seen, rules, facts))
    taken = {column.name for column in columns.values()} if seen.fields else set()
    new: list[Column] = []
    whole = {DOCUMENT_FIELD: Kind.JSON} if shape is None and rules.layout is not Layout.COLUMNS else {}
    for field, kind in {**whole, **seen.fields}.items():
        if len(columns) >= rules.max_columns:
            break
        if field not in columns:
            columns[field] = Column(name=column_name(field, taken), kind=kind)
            taken.add(columns[field].name)
            new.append(columns[field])
    mixed, refused = bool(shape and shape.mixed_keys), shape.key_refused if shape else ""
    if not mixed and seen.key_kinds - {key_kind}:
        refused = key_refused or ("" if seen.asks_again else refused)
        mixed = not refused
    soft = bool(shape and shape.soft_delete) or rules.soft_delete
    if shape is None:
        after = Shape(
            version=1,
            key_kind=key_kind,
            mixed_keys=mixed,
            soft_delete=soft,
            layout=rules.layout,
            flatten_depth=rules.flatten_depth,
            columns=columns,
        )
    else:
        after = replace(shape, mixed_keys=mixed, key_refused=refused, soft_delete=soft, columns=columns)
        after = replace(after, version=shape.version + 1) if after != shape else shape
    return Decision(before=shape, after=after, new_columns=tuple(new))


def _decided(columns: Mapping[str, Column], seen: Seen, rules: Rules, facts: Facts) -> dict[str, Column]:
    """The columns that something is decided about."""
    decided = {}
    for field, (kind, misfits) in seen.misfits.items():
        column = columns.get(field)
        # A column that became another one meanwhile may take them.
        if column is not None and kind is column.kind:
            known = NotExact(facts) if field in seen.far else facts
            decided[field] = with_misfits(column, misfits, rules, known)
    return decided
