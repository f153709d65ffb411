"""What a batch brings: the kinds of its keys, of the fields that a table has no column for, and of what did not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from warp.change import Key, KeyKind, Record
from warp.evolution.misfits import EXACT_IN_DOUBLE
from warp.evolution.shape import TAKE_ALL, Shape
from warp.values import Kind, Value, kind_of


@dataclass(slots=True)
class Seen:
    """What was met in a batch. `fields` are those without a column, by the kind of their first value that has one."""

    key_kinds: set[KeyKind] = field(default_factory=set)
    first_key_kind: KeyKind | None = None
    asks_again: bool = False
    """Whether to try again to make the key column text where the destination has refused to."""
    fields: dict[str, Kind] = field(default_factory=dict)
    misfits: dict[str, tuple[Kind, frozenset[Kind]]] = field(default_factory=dict)
    """By field: the kind of its column, and the kinds of values that it did not take."""
    far: set[str] = field(default_factory=set)
    """Fields of int columns that get doubles, and numbers beyond ±2^53 with them."""

    def add_keys(self, keys: Iterable[Key]) -> None:
        """Note the kinds of keys."""
        for key in keys:
            if self.first_key_kind is None:
                self.first_key_kind = key.kind
            self.key_kinds.add(key.kind)

    def add_records(self, records: Iterable[Record], shape: Shape | None) -> None:
        """Note the fields that `shape` has no column for. Null asks for no column, nor what no column can hold."""
        known = frozenset(shape.columns) if shape else frozenset()
        for record in records:
            if record.keys() <= known:
                continue
            for name, value in record.items():
                if name not in known and name not in self.fields and (kind := kind_of(value)) is not None:
                    self.fields[name] = kind

    def add_misfits(self, misfits: Mapping[str, Iterable[Kind]], records: Iterable[Record], shape: Shape) -> None:
        """Note what columns of `shape` did not take of the records, by field, where that is not settled yet."""
        for name, kinds in misfits.items():
            column = shape.columns[name]
            unsettled = frozenset(kinds) - column.settled.keys() - {column.kind}
            if unsettled and column.kind not in TAKE_ALL:
                self.misfits[name] = (column.kind, unsettled)
        doubles = [name for name, (kind, kinds) in self.misfits.items() if kind is Kind.INT and Kind.DOUBLE in kinds]
        self.far.update(name for record in records for name in doubles if _is_far(record.get(name)))


def _is_far(value: Value) -> bool:
    return isinstance(value, int) and abs(value) > EXACT_IN_DOUBLE
