"""What a write did that nobody would see otherwise: counted, and logged without values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from warp.change import Change, Partition, TableRef, dotted
from warp.destinations.base import Written
from warp.destinations.kept import NULL
from warp.evolution.decide import Decision
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger

MOST_TOLD = 10_000
"""Fields that are remembered as told; any beyond them are only counted."""
MOST_NAMED = 20
"""Fields that one line names."""


class Report:
    """One worker's account of what it wrote."""

    def __init__(self) -> None:
        self._log = get_logger(__name__)
        self._told: set[tuple[TableRef, str, str]] = set()

    def wrote(self, ref: TableRef, written: Written, letters: int) -> None:
        """Rows were written. A field whose values go to `_extra`, nulls aside, is logged the first time."""
        if written.stale:
            metrics.STALE.labels(*ref).inc(written.stale)
        if written.superseded:
            metrics.SUPERSEDED.labels(*ref).inc(written.superseded)
            self._log.info("dead letters are superseded", table=str(ref), letters=written.superseded)
        if written.lost:
            metrics.LOST.labels(*ref).inc(written.lost)
            self._log.warning("updates are lost with their collection", table=str(ref), documents=written.lost)
        untold: list[tuple[str, str]] = []
        for (field, reason), values in written.kept.items():
            metrics.kept(ref, field, reason, values)
            if reason != NULL and (ref, field, reason) not in self._told and len(self._told) < MOST_TOLD:
                self._told.add((ref, field, reason))
                untold.append((dotted(field), reason))
        if untold:
            self._log.info(
                "values are kept in _extra",
                table=str(ref),
                fields=dict(untold[:MOST_NAMED]),
                **({"more_fields": len(untold) - MOST_NAMED} if untold[MOST_NAMED:] else {}),
            )
        if letters:
            metrics.DEAD_LETTERS.labels(*ref).inc(letters)
            self._log.error("changes cannot be applied, parked as dead letters", table=str(ref), letters=letters)

    def applied(
        self, partition: Partition, changes: Sequence[Change], written: Written, correlation_ids: set[str], now: float
    ) -> None:
        """A step is about to commit; one that is rolled back is counted again. `now` in seconds since 1970."""
        metrics.STEP_CHANGES.labels(partition.schema).observe(len(changes))
        for operation, number in Counter(change.operation for change in changes).items():
            metrics.RECORDS.labels(partition.schema, partition.table, operation.value).inc(number)
        if changes[-1].committed_ms:
            metrics.COMMIT_LAG.labels(partition.schema).observe(max(0.0, now - changes[-1].committed_ms / 1000))
        self._log.debug(
            "applied",
            partition=str(partition),
            changes=len(changes),
            upserted=written.upserted,
            deleted=written.deleted,
            appended=written.appended,
            correlation_ids=sorted(correlation_ids),
        )

    def evolved(self, ref: TableRef, decision: Decision) -> None:
        """A table was given another shape, or had it already."""
        if decision.changes:
            self._log.info(
                "table created" if decision.before is None else "table evolved",
                table=str(ref),
                version=decision.after.version,
                new_columns=[column.name for column in decision.new_columns],
                widened={dotted(field): after.kind.value for field, (_, after) in decision.widened.items()},
            )
