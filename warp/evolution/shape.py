"""The shape of a table: which field lives in which column, and of what kind. Kept in `schema_registry` as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from warp.change import KeyKind
from warp.evolution.rules import Layout
from warp.values import Kind, exact_string, string_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that holds one field of the documents."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table as of one version. Columns are only ever added."""

    version: int
    key_kind: KeyKind
    """The kind of the first key seen: keys of this kind are written plainly, others as canonical Extended JSON."""
    mixed_keys: bool = False
    """Whether a key of another kind has come: the key column is text from then on."""
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
        return {name: column.name for name, column in self.columns.items() if name != column.name}

    def to_json(self) -> dict[str, Any]:
        """The form kept in `schema_registry`; the version is a column of its own there."""
        return {
            "key_kind": self.key_kind.value,
            "mixed_keys": self.mixed_keys,
            "soft_delete": self.soft_delete,
            "layout": self.layout.value,
            "flatten_depth": self.flatten_depth,
            "columns": [[exact_string(name), column.name, column.kind.value] for name, column in self.columns.items()],
        }

    @classmethod
    def from_json(cls, version: int, shape: Mapping[str, Any]) -> Shape:
        """Read `to_json` back."""
        return cls(
            version=version,
            key_kind=KeyKind(shape["key_kind"]),
            mixed_keys=shape["mixed_keys"],
            soft_delete=shape["soft_delete"],
            layout=Layout(shape.get("layout", Layout.COLUMNS)),
            flatten_depth=shape.get("flatten_depth", 0),
            columns={string_of(name): Column(name=column, kind=Kind(kind)) for name, column, kind in shape["columns"]},
        )
