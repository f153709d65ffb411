"""Reading the documents of one table, and what follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from warp.change import TableRef, Write, dotted
from warp.config import TableSettings
from warp.destinations.survey import Survey
from warp.evolution.shape import Shape
from warp.plan.dangers import Dangers
from warp.plan.histogram import MOST_NAMES, Histogram
from warp.plan.rehearsal import Rehearsal
from warp.plan.result import (
    FieldConflict,
    KeptField,
    LargeDocuments,
    MoreFields,
    PlannedColumn,
    PlannedField,
    Renamed,
    TableReading,
)
from warp.plan.standing import Standing
from warp.sources.base import Inspected, Source

_CHUNK = 100_000
"""Documents that are read as of one time: few enough to be read before the source forgets it."""
_DEAD_LETTER = "dead_letter"
_NULL = "null"


def documents(source: Source, ref: TableRef, settings: TableSettings, sample: int | None) -> Iterator[list[Inspected]]:
    """The documents of a table as they may be written: all, in order of key, or a random sample."""
    if sample is not None:
        yield from source.inspect(*ref, sample, settings.fields)
        return
    for chunk in source.split(*ref, _CHUNK):
        yield from source.inspect(*ref, chunk, settings.fields)


class TableReader:
    """One table."""

    def __init__(self, survey: Survey, standing: Standing, settings: TableSettings) -> None:
        self._survey = survey
        self._standing = standing
        self._histogram = Histogram()
        self._dangers = Dangers(settings.max_columns)
        rows = standing.documents if standing.base else 0
        self._rehearsal = Rehearsal(survey, standing.base, settings.rules, rows)
        self._keys: Counter[str] = Counter()
        self._kept: Counter[tuple[str | None, str]] = Counter()

    def read(self, batches: Iterable[list[Inspected]], progress: Callable[[int], None]) -> None:
        """Take in documents; `progress` is told how many there were so far."""
        for batch in batches:
            self._histogram.add(each.record for each in batch)
            self._keys.update(each.key.kind.value for each in batch)
            for (field, reason), values in self._rehearsal.take(
                [Write(key, 0, record) for key, record, _ in batch]
            ).items():
                self._kept[field if self._histogram.tells_apart(field) else None, reason] += values
            self._dangers.add(batch, self._survey.long_keys(each.key for each in batch))
            progress(self._histogram.documents)

    def result(self, *, whole: bool) -> TableReading:
        """What follows from the documents so far; `whole`: there are no others."""
        standing, after = self._standing, self._rehearsal.shape
        return TableReading(
            name=standing.ref.table,
            target=standing.target,
            action=standing.action,
            exists=standing.exists,
            blocked=bool(standing.problems),
            ours=standing.shape is not None,
            documents=standing.documents,
            size_bytes=standing.size_bytes,
            read=self._histogram.documents,
            whole=whole,
            largest_bytes=self._dangers.largest,
            keys=dict(self._keys.most_common()),
            fields=list(self._fields(after)),
            more_fields=self._more_fields(),
            columns=planned_columns(self._survey, standing.base, after),
            ddl=self._survey.ddl(standing.ref, standing.base, after) if after else (),
            renamed=[Renamed(name=dotted(name), becomes=column) for name, column in after.renamed.items()]
            if after
            else (),
            conflicts=list(self._conflicts(after)) if after else (),
            kept=[
                KeptField(field=None if field is None else dotted(field), reason=reason, values=values)
                for (field, reason), values in self._kept.most_common()
                if reason != _DEAD_LETTER
            ],
            large=[
                LargeDocuments(danger=danger.value, documents=each.documents, most=each.most, keys=each.keys)
                for danger, each in self._dangers.found.items()
                if each.documents
            ],
        )

    def _fields(self, after: Shape | None) -> Iterator[PlannedField]:
        columns = after.columns if after else {}
        for each in self._histogram.fields():
            column = columns.get(each.field)
            yield PlannedField(
                field=dotted(each.field),
                present=each.present,
                missing=self._histogram.documents - each.present,
                types=each.types,
                column=column.name if column else None,
            )

    def _more_fields(self) -> MoreFields | None:
        names, types = self._histogram.beyond()
        return MoreFields(names=names, at_least=names == MOST_NAMES, types=types) if names else None

    def _conflicts(self, after: Shape) -> Iterator[FieldConflict]:
        """Fields with values of several types, or of another than the column has that is there."""
        for each in self._histogram.fields():
            column = after.columns.get(each.field)
            types = {name: number for name, number in each.types.items() if name != _NULL}
            if column is None or (len(types) < 2 and not column.settled and each.field not in self._rehearsal.kinds):
                continue
            yield FieldConflict(
                field=dotted(each.field),
                column=column.name,
                types=types,
                became=[kind.value for kind in self._rehearsal.kinds.get(each.field, [column.kind])],
                settled={kind.value: rule.value for kind, rule in column.settled.items()},
                kept=sum(
                    values
                    for (field, reason), values in self._kept.items()
                    if field == each.field and reason not in (_NULL, _DEAD_LETTER)
                ),
                dead_letters=self._kept[each.field, _DEAD_LETTER],
            )


def planned_columns(survey: Survey, before: Shape | None, after: Shape | None) -> list[PlannedColumn]:
    """The columns that a table would have."""
    had = survey.columns(before) if before else {}
    becomes = survey.columns(after) if after else {}
    return [PlannedColumn(name=name, type=kind, new=had.get(name) != kind) for name, kind in becomes.items()]
