"""How the tables of a schema stand before anything is done: what there is on both sides, and what is in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from warp.change import TableRef
from warp.config import Config
from warp.destinations.survey import MetadataTables, Survey
from warp.errors import Fatal
from warp.evolution.shape import Shape
from warp.layouts import require_layout
from warp.metadata.base import Metadata, SnapshotState
from warp.sources.base import Source


class Action(StrEnum):
    """What would happen to a table."""

    COPY = "copy"
    """Its documents would be copied, into a new table or on with a copy that was begun."""
    FOLLOW = "follow"
    """It is mirrored already: only its changes would be applied."""
    EXCLUDE = "exclude"
    """Nothing: the configuration excludes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One table of the source; the figures are the source's own estimates."""

    ref: TableRef
    documents: int
    size_bytes: int
    target: str
    exists: bool
    """Something has the target's name, whoever made it."""
    shape: Shape | None
    """Of the table that is ours; None: there is none."""
    base: Shape | None
    """What documents would be added to; None also where the table has another layout than is configured, and takes
    nothing until it is made anew."""
    action: Action
    problems: tuple[str, ...]
    """What would keep it from being mirrored, each with what to do."""


class Standings:
    """Asks both sides, and never writes. For one thread."""

    def __init__(self, config: Config, source: Source, metadata: Metadata, survey: Survey) -> None:
        self._config = config
        self._source = source
        self._metadata = metadata
        self._survey = survey
        self.metadata_tables = survey.metadata_tables()

    def of(self, schema: str, table: str | None = None) -> Iterator[Standing]:
        """The tables of a schema, or that one, in order of name. Raises Transient, Fatal or ServerUnreachable."""
        begun = self.metadata_tables is MetadataTables.KEEP
        shapes = self._survey.shapes(schema)
        loads = {state.ref.table: state.snapshot for state in self._metadata.tables(schema)} if begun else {}
        left_out = self._metadata.excluded(schema) if begun else set()
        is_new = not begun or self._metadata.schema(schema) is None
        for found in self._source.tables(schema):
            if table not in (None, found.name):
                continue
            ref = TableRef(schema, found.name)
            copies = is_new or found.name in left_out or loads.get(found.name, SnapshotState.NONE).open
            action = Action.COPY if copies else Action.FOLLOW
            action = action if self._config.mirrors(*ref) else Action.EXCLUDE
            shape, exists = shapes.get(found.name), self._survey.exists(ref)
            if not exists and found.name in left_out:  # dropped while it was excluded: it is made anew
                shape = None
            yield Standing(
                ref=ref,
                documents=found.documents,
                size_bytes=found.size_bytes,
                target=self._survey.target(ref),
                exists=exists,
                shape=shape,
                base=shape if shape and shape.is_laid_out_by(self._config.table(*ref).rules) else None,
                action=action,
                problems=() if action is Action.EXCLUDE else tuple(self._problems(ref, shape, exists=exists)),
            )

    def _problems(self, ref: TableRef, shape: Shape | None, *, exists: bool) -> Iterator[str]:
        target = self._survey.target(ref)
        if exists and shape is None:
            yield f"{target} exists, and cartridge-warp did not make it: rename it or drop it"
        if shape is not None and not exists:
            yield f"{target}, which cartridge-warp had made, is gone: restore it"
        if shape is not None:
            try:
                require_layout(shape, self._config.table(*ref).rules)
            except Fatal as error:
                yield f"{target}: {error}: {error.remedy}"
