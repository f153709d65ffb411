"""What a batch brings: the kinds of its keys, and of the fields that a table has no column for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from warp.change import Key, KeyKind, Record
from warp.evolution.shape import Shape
from warp.values import Kind, kind_of


@dataclass(slots=True)
class Seen:
    """What was met in a batch. `fields` are those without a column, by the kind of their first value that has one."""

    key_kinds: set[KeyKind] = field(default_factory=set)
    first_key_kind: KeyKind | None = None
    fields: dict[str, Kind] = field(default_factory=dict)

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
