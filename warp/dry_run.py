"""What `run` would do: which tables it would create and copy, and what stands in the way. Reads, and writes nothing.

How it is shown is left to `warp.cli.dry_run`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warp.change import Write, dotted
from warp.config import Config, SchemaConfig
from warp.destinations.survey import MetadataTables, Survey
from warp.metadata.base import Metadata
from warp.plan.reader import planned_columns
from warp.plan.rehearsal import Rehearsal
from warp.plan.result import KeptField, PlannedColumn
from warp.plan.standing import Action, Standing, Standings
from warp.sources.base import Chunk, Source

_WHOLE = Chunk(lower=None, upper=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """One table."""

    name: str
    documents: int
    size_bytes: int
    target: str
    exists: bool
    ours: bool
    blocked: bool
    """Something keeps it from being mirrored: see the problems of the whole."""
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

    def plan(self, schemas: Sequence[SchemaConfig], servers: Mapping[str, str]) -> Plan:
        """What would happen to these schemas. Raises Transient, Fatal or ServerUnreachable."""
        names = [schema.name for schema in schemas]
        standings = Standings(self._config, self._source, self._metadata, self._survey)
        problems = list(self._survey.refusals(names))
        plans = []
        for name in names:
            at = self._source.now()
            tables = []
            for standing in standings.of(name):
                problems += standing.problems
                tables.append(self._table(standing, at))
            plans.append(SchemaPlan(name=name, tables=tables))
        return Plan(servers=servers, metadata_tables=standings.metadata_tables, schemas=plans, problems=tuple(problems))

    def _table(self, standing: Standing, at: int) -> TablePlan:
        sample = self._sample(standing, at)
        rules = self._config.table(*standing.ref).rules
        rehearsal = Rehearsal(self._survey, standing.base, rules, standing.documents if standing.base else 0)
        kept = rehearsal.take(sample) if sample else {}
        return TablePlan(
            name=standing.ref.table,
            documents=standing.documents,
            size_bytes=standing.size_bytes,
            target=standing.target,
            exists=standing.exists,
            blocked=bool(standing.problems),
            ours=standing.shape is not None,
            action=standing.action,
            sampled=len(sample),
            columns=planned_columns(self._survey, standing.base, rehearsal.shape) if sample else (),
            kept=[
                KeptField(field=dotted(field), reason=reason, values=values)
                for (field, reason), values in sorted(kept.items())
            ],
        )

    def _sample(self, standing: Standing, at: int) -> Sequence[Write]:
        """The first documents of a table that is mirrored."""
        if standing.action is Action.EXCLUDE:
            return ()
        fields = self._config.table(*standing.ref).fields
        piece = next(self._source.read(*standing.ref, _WHOLE, at, fields), None)
        return [Write(key, 0, record) for key, record in piece.documents] if piece else ()
