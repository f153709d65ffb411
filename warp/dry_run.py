"""What `run` would do: which tables it would create and copy, and what stands in the way. Reads, and writes nothing.

How it is shown is left to `warp.cli.dry_run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from warp.change import Key, Record, TableRef, Write
from warp.config import Config, SchemaConfig
from warp.destinations.survey import MetadataTables, Survey
from warp.evolution.decide import decide
from warp.evolution.infer import Seen
from warp.evolution.shape import Shape
from warp.metadata.base import Metadata, SnapshotState
from warp.sources.base import Chunk, Source, SourceTable

_WHOLE = Chunk(lower=None, upper=None)


class Action(StrEnum):
    """What would happen to a table."""

    COPY = "copy"
    """Its documents would be copied, into a new table or on with a copy that was begun."""
    FOLLOW = "follow"
    """It is mirrored already: only its changes would be applied."""
    EXCLUDE = "exclude"
    """Nothing: the configuration excludes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedColumn:
    """A column of the target table; `new` where it would be created."""

    name: str
    type: str
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptField:
    """A field of which values would be kept in `_extra`, exactly; `values` counts them in the sample."""

    field: str
    reason: str
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """One table."""

    name: str
    documents: int
    size_bytes: int
    target: str
    exists: bool
    ours: bool
    action: Action
    sampled: int
    """Documents that columns and kept fields were inferred from."""
    columns: Sequence[PlannedColumn]
    kept: Sequence[KeptField]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaPlan:
    """One schema."""

    name: str
    tables: Sequence[TablePlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of it. `servers` gives name and version by role, `problems` what would keep `run` from its work."""

    servers: Mapping[str, str]
    metadata_tables: MetadataTables
    schemas: Sequence[SchemaPlan]
    problems: Sequence[str]


class Planner:
    """Asks source and destination. For one thread."""

    def __init__(self, config: Config, source: Source, metadata: Metadata, survey: Survey) -> None:
        self._config = config
        self._source = source
        self._metadata = metadata
        self._survey = survey
        self._problems: list[str] = []

    def plan(self, schemas: Sequence[SchemaConfig], servers: Mapping[str, str]) -> Plan:
        """What would happen to these schemas. Raises Transient, Fatal or ServerUnreachable."""
        names = [schema.name for schema in schemas]
        metadata_tables = self._survey.metadata_tables()
        self._problems = self._survey.refusals(names)
        plans = [self._schema(name, begun=metadata_tables is MetadataTables.KEEP) for name in names]
        return Plan(servers=servers, metadata_tables=metadata_tables, schemas=plans, problems=tuple(self._problems))

    def _schema(self, name: str, *, begun: bool) -> SchemaPlan:
        shapes = self._survey.shapes(name)
        loads = {table.ref.table: table.snapshot for table in self._metadata.tables(name)} if begun else {}
        is_new = not begun or self._metadata.schema(name) is None
        at = self._source.now()
        tables = []
        left_out = self._metadata.excluded(name) if begun else set()
        for table in self._source.tables(name):
            if not self._config.mirrors(name, table.name):
                tables.append(self._excluded(TableRef(name, table.name), table, shapes.get(table.name)))
                continue
            copies = is_new or table.name in left_out or loads.get(table.name, SnapshotState.NONE).open
            action = Action.COPY if copies else Action.FOLLOW
            tables.append(self._table(TableRef(name, table.name), table, shapes.get(table.name), action, at))
        return SchemaPlan(name=name, tables=tables)

    def _excluded(self, ref: TableRef, table: SourceTable, shape: Shape | None) -> TablePlan:
        return TablePlan(
            name=table.name,
            documents=table.documents,
            size_bytes=table.size_bytes,
            target=self._survey.target(ref),
            exists=self._survey.exists(ref),
            ours=shape is not None,
            action=Action.EXCLUDE,
            sampled=0,
            columns=(),
            kept=(),
        )

    def _table(self, ref: TableRef, table: SourceTable, shape: Shape | None, action: Action, at: int) -> TablePlan:
        exists = self._survey.exists(ref)
        target = self._survey.target(ref)
        if exists and shape is None:
            self._problems.append(f"{target} exists, and cartridge-warp did not make it: rename it or drop it")
        if shape is not None and not exists:
            self._problems.append(f"{target}, which cartridge-warp had made, is gone: restore it")
        sample = self._sample(ref, at)
        columns, kept = self._fit(ref, shape, sample)
        return TablePlan(
            name=table.name,
            documents=table.documents,
            size_bytes=table.size_bytes,
            target=target,
            exists=exists,
            ours=shape is not None,
            action=action,
            sampled=len(sample),
            columns=columns,
            kept=kept,
        )

    def _sample(self, ref: TableRef, at: int) -> Sequence[tuple[Key, Record]]:
        piece = next(self._source.read(*ref, _WHOLE, at, self._config.table(*ref).fields), None)
        return piece.documents if piece else ()

    def _fit(
        self, ref: TableRef, shape: Shape | None, sample: Sequence[tuple[Key, Record]]
    ) -> tuple[list[PlannedColumn], list[KeptField]]:
        if not sample:
            return [], []
        seen = Seen()
        seen.add_keys(key for key, _ in sample)
        seen.add_records((record for _, record in sample), shape)
        after = decide(shape, seen, self._config.table(*ref).rules).after
        before = self._survey.columns(shape) if shape else {}
        columns = [
            PlannedColumn(name=name, type=kind, new=before.get(name) != kind)
            for name, kind in self._survey.columns(after).items()
        ]
        counts = self._survey.kept(after, (Write(key, 0, record) for key, record in sample))
        kept = [
            KeptField(field=field, reason=reason, values=values) for (field, reason), values in sorted(counts.items())
        ]
        return columns, kept
