"""The shape of a table: which field lives in which column, and of what kind. Kept in `schema_registry` as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from warp.change import PATH, KeyKind
from warp.evolution.naming import plain_name
from warp.evolution.rules import Layout, Rules, Settled
from warp.values import Kind, exact_string, string_of

TAKE_ALL = frozenset({Kind.TEXT, Kind.ANY})
"""Columns of these kinds are never widened: what they do not hold exactly is in `_extra`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that holds one field of the documents."""

    name: str
    kind: Kind
    settled: Mapping[Kind, Settled] = field(default_factory=dict)
    """For values of other kinds, which the column did not take: the rule by which it was decided that it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table as of one version. Columns are added and widened; none ever vanishes."""

    version: int
    key_kind: KeyKind
    """The kind of the first key seen: keys of this kind are written plainly, others as canonical Extended JSON."""
    mixed_keys: bool = False
    """Whether a key of another kind has come: the key column is text from then on."""
    key_refused: str = ""
    """Why the destination would not make the key column text: until it does, no key of another kind has room."""
    soft_delete: bool = False
    """Whether the table has the columns `is_deleted` and `deleted_at`."""
    layout: Layout = Layout.COLUMNS
    flatten_depth: int = 0
    """Nested objects down to so many levels have columns of their own."""
    columns: Mapping[str, Column] = field(default_factory=dict)
    """Columns by the name of the field."""

    @property
    def renamed(self) -> dict[str, str]:
        """The columns that are not called as their fields are, by the field."""
        return {name: column.name for name, column in self.columns.items() if plain_name(name) != column.name}

    def is_laid_out_by(self, rules: Rules) -> bool:
        """Whether the table was made with the layout that the rules say."""
        return (self.layout, self.flatten_depth) == (rules.layout, rules.flatten_depth)

    def to_json(self) -> dict[str, Any]:
        """The form kept in `schema_registry`; the version is a column of its own there."""
        return {
            "key_kind": self.key_kind.value,
            "mixed_keys": self.mixed_keys,
            **({"key_refused": self.key_refused} if self.key_refused else {}),
            "soft_delete": self.soft_delete,
            "layout": self.layout.value,
            "flatten_depth": self.flatten_depth,
            "columns": [[_written(name), *_column_to_json(column)] for name, column in self.columns.items()],
        }

    @classmethod
    def from_json(cls, version: int, shape: Mapping[str, Any]) -> Shape:
        """Read `to_json` back."""
        return cls(
            version=version,
            key_kind=KeyKind(shape["key_kind"]),
            mixed_keys=shape["mixed_keys"],
            key_refused=shape.get("key_refused", ""),
            soft_delete=shape["soft_delete"],
            layout=Layout(shape.get("layout", Layout.COLUMNS)),
            flatten_depth=shape.get("flatten_depth", 0),
            columns={_read(name): _column_from_json(*column) for name, *column in shape["columns"]},
        )


def _column_to_json(column: Column) -> list[Any]:
    """Name and kind, and what is settled where anything is."""
    settled = {kind.value: rule.value for kind, rule in column.settled.items()}
    return [column.name, column.kind.value, *([settled] if settled else [])]


def _column_from_json(name: str, kind: str, settled: Mapping[str, str] | None = None) -> Column:
    return Column(
        name=name,
        kind=Kind(kind),
        settled={Kind(value): Settled(rule) for value, rule in (settled or {}).items()},
    )


def _written(name: str) -> Any:
    """A field's name as jsonb holds it; that of one inside of an object as the list of its names."""
    names = [exact_string(part) for part in name.split(PATH)]
    return names if len(names) > 1 else names[0]


def _read(written: Any) -> str:
    """The name that `_written` wrote."""
    return PATH.join(map(string_of, written)) if isinstance(written, list) else string_of(written)
