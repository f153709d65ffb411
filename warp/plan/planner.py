"""Reading all that would be mirrored, table by table. Reads, and writes nothing.

How it is shown is left to `warp.cli.plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from warp.change import TableRef
from warp.config import Config, SchemaConfig
from warp.destinations.survey import Survey
from warp.errors import Fatal
from warp.metadata.base import Metadata
from warp.plan.reader import TableReader, documents
from warp.plan.result import Reading, SchemaReading, TableReading, Unmirrored
from warp.plan.standing import Action, Standing, Standings
from warp.retry import Response, response
from warp.sources.base import Source

Progress = Callable[[TableRef, int], None]
"""Told of the table that is read, and of how many documents of it were."""


class Planner:
    """Asks source and destination. For one thread."""

    def __init__(self, config: Config, source: Source, metadata: Metadata, survey: Survey) -> None:
        self._config = config
        self._source = source
        self._metadata = metadata
        self._survey = survey

    def plan(
        self,
        schemas: Sequence[SchemaConfig],
        servers: Mapping[str, str],
        *,
        table: str | None = None,
        sample: int | None = None,
        progress: Progress = lambda _ref, _documents: None,
    ) -> Reading:
        """What would become of these schemas, or of that table of them.

        Of each table `sample` documents are read, by default all. Raises Transient, Fatal or ServerUnreachable.
        """
        names = [schema.name for schema in schemas]
        standings = Standings(self._config, self._source, self._metadata, self._survey)
        problems = list(self._survey.refusals(names))
        found = []
        for name in names:
            tables = []
            for standing in standings.of(name, table):
                problems += standing.problems
                table_reading, unread = self._read(standing, sample, partial(progress, standing.ref))
                tables.append(table_reading)
                problems += unread
            unmirrored = [
                Unmirrored(name=left_out, reason=str(error))
                for left_out, error in self._source.unmirrored(name).items()
                if table in (None, left_out) and self._config.mirrors(name, left_out)
            ]
            target = self._survey.target_schema(name)
            found.append(SchemaReading(name=name, target=target, tables=tables, unmirrored=unmirrored))
        return Reading(servers=servers, sample=sample, schemas=found, problems=problems)

    def _read(
        self, standing: Standing, sample: int | None, progress: Callable[[int], None]
    ) -> tuple[TableReading, list[str]]:
        """A table, and why it could not be read."""
        settings = self._config.table(*standing.ref)
        reader = TableReader(self._survey, standing, settings)
        problems = []
        try:
            if standing.action is not Action.EXCLUDE:
                reader.read(documents(self._source, standing.ref, settings, sample), progress)
        except Fatal as error:
            if response(error) is not Response.BLOCK:
                raise
            # What ails one table says nothing about the others.
            problems.append(f"{standing.ref} cannot be read: {error}" + (f": {error.remedy}" if error.remedy else ""))
        is_whole = sample is None and standing.action is not Action.EXCLUDE and not problems
        return reader.result(whole=is_whole), problems
