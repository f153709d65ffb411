"""From what a table is and what a batch brings: the shape that it needs. Nothing is decided twice: deciding again on
the shape that came out changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warp.change import KeyKind
from warp.evolution.infer import Seen
from warp.evolution.naming import column_name
from warp.evolution.rules import Rules
from warp.evolution.shape import Column, Shape


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


def decide(shape: Shape | None, seen: Seen, rules: Rules) -> Decision:
    """The shape that a table needs to take what was seen.

    New fields get columns in the order in which they came, as long as there are fewer than `rules.max_columns`.
    """
    key_kind = shape.key_kind if shape else seen.first_key_kind or KeyKind.OBJECT_ID
    columns = dict(shape.columns) if shape else {}
    taken = {column.name for column in columns.values()} if seen.fields else set()
    new: list[Column] = []
    for field, kind in seen.fields.items():
        if len(columns) >= rules.max_columns:
            break
        if field not in columns:
            columns[field] = Column(name=column_name(field, taken), kind=kind)
            taken.add(columns[field].name)
            new.append(columns[field])
    mixed = bool(shape and shape.mixed_keys) or bool(seen.key_kinds - {key_kind})
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
    elif new or mixed != shape.mixed_keys or soft != shape.soft_delete:
        after = replace(shape, version=shape.version + 1, mixed_keys=mixed, soft_delete=soft, columns=columns)
    else:
        after = shape
    return Decision(before=shape, after=after, new_columns=tuple(new))
