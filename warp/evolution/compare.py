"""Two versions of a table's shape, and what is between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from warp.evolution.shape import Column, Shape

_NOT_SETTINGS = ("version", "columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What leads from one shape to another, columns by the name of their field."""

    added: Mapping[str, Column] = field(default_factory=dict)
    removed: Mapping[str, Column] = field(default_factory=dict)
    changed: Mapping[str, tuple[Column, Column]] = field(default_factory=dict)
    settings: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    """What else a shape says, by its name: before and after. Empty where the table came or went."""


def difference(before: Shape | None, after: Shape | None) -> Difference:
    """What is between two shapes; None is a table that is not there."""
    old = before.columns if before else {}
    new = after.columns if after else {}
    return Difference(
        added={name: column for name, column in new.items() if name not in old},
        removed={name: column for name, column in old.items() if name not in new},
        changed={name: (old[name], column) for name, column in new.items() if old.get(name, column) != column},
        settings=_settings(before, after) if before and after else {},
    )


def _settings(before: Shape, after: Shape) -> dict[str, tuple[object, object]]:
    both = {
        each.name: (getattr(before, each.name), getattr(after, each.name))
        for each in fields(Shape)
        if each.name not in _NOT_SETTINGS
    }
    return {name: (old, new) for name, (old, new) in both.items() if old != new}
