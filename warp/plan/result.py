"""What `plan` has found out, as it is shown or printed as JSON. Field names are dotted where they are paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from warp.plan.standing import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedColumn:
    """A column of the target table. `new`: it would be created, or given another type."""

    name: str
    type: str
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptField:
    """A field of which values would be kept in `_extra`, exactly; `values` counts them in what was read."""

    field: str | None
    """None: fields that are not told apart, together."""
    reason: str
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedField:
    """A field of the documents. `missing`: documents that were read without it."""

    field: str
    present: int
    missing: int
    types: Mapping[str, int]
    column: str | None
    """None: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreFields:
    """Fields beyond those that are told apart; `names` stands for itself or more where it is `at_least`."""

    names: int
    at_least: bool
    types: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldConflict:
    """A field with a column and values of several types. What decides is the first value that comes; here, in the order
    in which the documents were read."""

    field: str
    column: str
    types: Mapping[str, int]
    became: Sequence[str]
    """The kinds of the column in turn: the first value's, and those that it was widened to."""
    settled: Mapping[str, str]
    """For kinds that it does not take: the rule of the configuration by which that is so."""
    kept: int
    """Values in `_extra`."""
    dead_letters: int
    """Values whose documents become dead letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """A field, table or schema that has another name in the destination."""

    name: str
    becomes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeDocuments:
    """Documents that are dangerously large in one way. `most` in bytes, or for fields in fields."""

    danger: str
    documents: int
    most: int
    keys: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReading:
    """One table, read."""

    name: str
    target: str
    action: Action
    exists: bool
    ours: bool
    blocked: bool
    """Something keeps it from being mirrored: see the problems of the whole."""
    documents: int
    size_bytes: int
    read: int
    whole: bool
    """All of its documents were read."""
    largest_bytes: int
    keys: Mapping[str, int]
    """Documents by the kind of their key."""
    fields: Sequence[PlannedField]
    more_fields: MoreFields | None
    columns: Sequence[PlannedColumn]
    ddl: Sequence[str]
    renamed: Sequence[Renamed]
    conflicts: Sequence[FieldConflict]
    kept: Sequence[KeptField]
    large: Sequence[LargeDocuments]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmirrored:
    """A table of which the source does not tell what changes."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReading:
    """One schema."""

    name: str
    target: str
    tables: Sequence[TableReading]
    unmirrored: Sequence[Unmirrored]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All of it. `servers` gives name and version by role, `problems` what would keep `run` from its work."""

    servers: Mapping[str, str]
    sample: int | None
    schemas: Sequence[SchemaReading]
    problems: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """As `plan --json` prints it."""
        return {"blocked": bool(self.problems), **asdict(self)}
