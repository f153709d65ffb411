"""From what a table is and what a batch brings: the shape that it needs. Nothing is decided twice: deciding again on
the shape that came out changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warp.change import KeyKind
from warp.evolution.infer import Seen
from warp.evolution.shape import Column, Shape

MAX_COLUMNS = 500
"""Fields beyond this stay in `_extra`: PostgreSQL ends at 1,600 columns, and sooner for wide rows."""
MAX_NAME_BYTES = 63
"""PostgreSQL truncates longer identifiers silently (NAMEDATALEN - 1)."""

RESERVED = frozenset(
    {"_id", "_warp_ts", "_extra", "is_deleted", "deleted_at"}
    | {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"}
)
"""Columns of our own, and PostgreSQL's system columns."""


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


def can_be_column(name: str) -> bool:
    """Whether a field's name can stand as a column's as it is; one that cannot is kept in `_extra`."""
    if not name or name in RESERVED or "\0" in name:
        return False
    try:
        return len(name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


def decide(shape: Shape | None, seen: Seen, *, soft_delete: bool) -> Decision:
    """The shape that a table needs to take what was seen."""
    key_kind = shape.key_kind if shape else seen.first_key_kind or KeyKind.OBJECT_ID
    columns = dict(shape.columns) if shape else {}
    new: list[Column] = []
    for name, kind in seen.fields.items():
        if name not in columns and len(columns) < MAX_COLUMNS and can_be_column(name):
            columns[name] = Column(name=name, kind=kind)
            new.append(columns[name])
    mixed = bool(shape and shape.mixed_keys) or bool(seen.key_kinds - {key_kind})
    soft = bool(shape and shape.soft_delete) or soft_delete
    if shape is None:
        after = Shape(version=1, key_kind=key_kind, mixed_keys=mixed, soft_delete=soft, columns=columns)
    elif new or mixed != shape.mixed_keys or soft != shape.soft_delete:
        after = replace(shape, version=shape.version + 1, mixed_keys=mixed, soft_delete=soft, columns=columns)
    else:
        after = shape
    return Decision(before=shape, after=after, new_columns=tuple(new))
