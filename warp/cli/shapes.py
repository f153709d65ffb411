"""Shapes of tables as `schema` shows them: to a person in lines, to a program as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from rich.text import Text

from warp.change import BEGINNING, dotted
from warp.destinations.survey import ShapeVersion
from warp.evolution.compare import Difference, difference
from warp.evolution.rules import Settled
from warp.evolution.shape import Column, Shape
from warp.monitoring.terminal import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A table as it was made last, and as it is. It is true where they differ."""

    version: ShapeVersion
    expected: Mapping[str, str]
    """Types of columns by their names."""
    actual: Mapping[str, str] | None
    """None: there is no table."""

    @property
    def missing(self) -> dict[str, str]:
        """Columns that are not there."""
        return {name: kind for name, kind in self.expected.items() if name not in (self.actual or {})}

    @property
    def altered(self) -> dict[str, tuple[str, str]]:
        """Columns of another type than they were made of: made, and now."""
        actual = self.actual or {}
        return {
            name: (kind, actual[name])
            for name, kind in self.expected.items()
            if name in actual and actual[name] != kind
        }

    @property
    def extra(self) -> dict[str, str]:
        """Columns that somebody else added."""
        return {name: kind for name, kind in (self.actual or {}).items() if name not in self.expected}

    def __bool__(self) -> bool:
        return bool(self.missing or self.altered or self.extra)


def as_text(version: ShapeVersion) -> Text:
    """A version in lines."""
    text = Text.assemble(
        (f"{visible(str(version.ref))} version {version.version}", "bold"),
        f"  {version.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {version.cause}  {_place(version)}\n",
    )
    if version.after is None:
        text.append("  the table was dropped\n")
    elif version.before is None:
        text.append(f"  the table was made, with keys of kind {version.after.key_kind}\n")
    for line in in_words(difference(version.before, version.after)) if version.after else ():
        text.append(f"  {line}\n")
    return text


def _place(version: ShapeVersion) -> str:
    if version.position is None:
        return ""
    return "first load" if version.position == BEGINNING else f"position {version.position}"


def in_words(between: Difference) -> Iterator[str]:
    """What leads from one shape to another, a line for each change."""
    for name, column in between.added.items():
        yield f"+ {_column(name, column)}"
    for name, column in between.removed.items():
        yield f"- {_column(name, column)}"
    for name, (old, new) in between.changed.items():
        if (old.name, old.kind) != (new.name, new.kind):
            yield f"~ {_column(name, old)} became {_column(name, new)}"
        yield from _settled(name, old, new)
    for setting, (before, after) in between.settings.items():
        yield f"~ {setting}: {visible(str(before))} became {visible(str(after))}"


def _settled(name: str, old: Column, new: Column) -> Iterator[str]:
    """What was decided of values that the column does not take."""
    for kind, rule in new.settled.items():
        if old.settled.get(kind) is not rule:
            what = "make dead letters" if rule is Settled.CONFLICT_DEAD_LETTER else "stay in _extra"
            yield f"~ {_column(name, new)}: {kind} values {what} ({rule})"
    for kind, rule in old.settled.items():
        if kind not in new.settled and old.kind is new.kind:
            yield f"~ {_column(name, new)}: {kind} values are not settled any more ({rule})"


def _column(name: str, column: Column) -> str:
    shown = f"{visible(column.name)} {column.kind}"
    return shown if name == column.name else f"{shown} (field {visible(dotted(name))})"


def version_to_json(version: ShapeVersion) -> dict[str, Any]:
    """A version, with its shape before and after it and what became otherwise."""
    return {
        "schema": version.ref.schema,
        "table": version.ref.table,
        "version": version.version,
        "at": version.at.isoformat(),
        "cause": version.cause,
        "position": "first load" if version.position == BEGINNING else version.position,
        "before": _shape(version.before),
        "after": _shape(version.after),
        "changes": changes_to_json(difference(version.before, version.after)),
    }


def changes_to_json(between: Difference) -> dict[str, Any]:
    """What leads from one shape to another."""
    return {
        "added": [_column_to_json(*item) for item in between.added.items()],
        "removed": [_column_to_json(*item) for item in between.removed.items()],
        "changed": [
            {"before": _column_to_json(name, old), "after": _column_to_json(name, new)}
            for name, (old, new) in between.changed.items()
        ],
        "settings": {name: {"before": old, "after": new} for name, (old, new) in between.settings.items()},
    }


def _shape(shape: Shape | None) -> dict[str, Any] | None:
    if shape is None:
        return None
    columns = [_column_to_json(*item) for item in shape.columns.items()]
    return shape.to_json() | {"columns": columns}


def _column_to_json(name: str, column: Column) -> dict[str, Any]:
    settled = {kind.value: rule.value for kind, rule in column.settled.items()}
    shown = {"field": dotted(name), "column": column.name, "kind": column.kind.value}
    return shown | ({"settled": settled} if settled else {})


def drift_as_text(drift: Drift) -> Text:
    """What differs, in lines."""
    version = drift.version
    text = Text.assemble((f"{visible(str(version.ref))} version {version.version}", "bold"), ": ")
    if drift.actual is None:
        return text.append("the table is missing", "red")
    text.append("differs" if drift else "as it was made", "red" if drift else "green")
    fields = {column.name: name for name, column in version.after.columns.items()} if version.after else {}
    for name, kind in drift.missing.items():
        text.append(f"\n  missing  {visible(name)} {kind}{_of_field(name, fields)}")
    for name, (made, now) in drift.altered.items():
        text.append(f"\n  altered  {visible(name)} {made} is {now} now{_of_field(name, fields)}")
    for name, kind in drift.extra.items():
        text.append(f"\n  extra    {visible(name)} {kind}")
    return text


def _of_field(column: str, fields: Mapping[str, str]) -> str:
    field = fields.get(column, column)
    return "" if field == column else f" (field {visible(dotted(field))})"


def drift_to_json(drift: Drift) -> dict[str, Any]:
    """What differs."""
    return {
        "schema": drift.version.ref.schema,
        "table": drift.version.ref.table,
        "version": drift.version.version,
        "table_missing": drift.actual is None,
        "missing": drift.missing,
        "altered": {name: {"made": made, "now": now} for name, (made, now) in drift.altered.items()},
        "extra": drift.extra,
    }
