"""What a source holds and does not tell of: it cannot be mirrored, and a person must hear of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warp.errors import NotMirrored
from warp.metadata.base import Metadata
from warp.monitoring import metrics
from warp.monitoring.logging import get_logger
from warp.sources.base import Source

LOOK_SECONDS = 60.0
"""How often it is looked for."""


class Unmirrored:
    """Keeps in one schema's error log what is not mirrored, though no setting excludes it."""

    def __init__(
        self,
        schema: str,
        source: Source,
        metadata: Metadata,
        mirrors: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        """`mirrors` says whether a table is mirrored, by its name; `clock` in seconds, only ever growing."""
        self._schema = schema
        self._source = source
        self._metadata = metadata
        self._mirrors = mirrors
        self._clock = clock
        self._known: set[str] = set()
        self._next_look = clock()
        self._log = get_logger(__name__).bind(schema=schema)

    def look(self) -> None:
        """Note the tables that are there by now, each once, if the last look is long ago."""
        if self._clock() < self._next_look:
            return
        found = self._source.unmirrored(self._schema)
        for table in filter(self._mirrors, sorted(found.keys() - self._known)):
            self._note(table, found[table])
        self._known = set(found)
        self._next_look = self._clock() + LOOK_SECONDS

    def passed_over(self, errors: Sequence[NotMirrored]) -> None:
        """Note what the stream could not hand out."""
        for error in errors:
            self._note(None, error)

    def _note(self, table: str | None, error: NotMirrored) -> None:
        metrics.ERRORS.labels(self._schema, type(error).__name__).inc()
        self._log.warning("passed over", table=table, reason=str(error), remedy=error.remedy)
        self._metadata.log_error(self._schema, table, error, error.remedy, None)
