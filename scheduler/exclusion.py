"""Tables that the configuration excludes: what the stream says of them is read and left out, so that it goes on.

Which tables are left out is kept in the metadata, before the checkpoint passes anything of them. So a table that is
included later is known to have missed changes, and is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from warp.change import RoutedChange, TableRef
from warp.metadata.base import Metadata
from warp.monitoring.logging import get_logger
from warp.sources.base import TableEvent


class Exclusion:
    """What is left out of one schema."""

    def __init__(self, schema: str, metadata: Metadata, mirrors: Callable[[str], bool] | None) -> None:
        """`mirrors` says whether a table is mirrored, by its name; None: every one is."""
        self._schema = schema
        self._metadata = metadata
        self._mirrors = mirrors
        self._noted: set[str] = set()
        self._log = get_logger(__name__).bind(schema=schema)

    def mirrors(self, table: str) -> bool:
        """Whether a table is mirrored."""
        return self._mirrors is None or self._mirrors(table)

    def begin(self, tables: Iterable[str]) -> set[str]:
        """Look again at what is noted, and at the tables that there are: note which are excluded by now.

        Returns those that are noted and not excluded any more; they must be read, and then `included`.
        """
        self._noted = self._metadata.excluded(self._schema)
        again = {table for table in self._noted if self.mirrors(table)}
        self.note(tables)
        return again

    def note(self, tables: Iterable[str]) -> None:
        """Note which of these tables are excluded."""
        if self._mirrors is None:
            return
        for table in sorted({table for table in tables if not self._mirrors(table)} - self._noted):
            if self._metadata.exclude(TableRef(self._schema, table)):
                self._log.warning("table is excluded, it is left as it stands", table=table)
            self._noted.add(table)

    def included(self, table: str) -> None:
        """A table that was excluded is going to be read."""
        self._metadata.include(TableRef(self._schema, table))
        self._noted.discard(table)

    def passed(
        self, changes: Sequence[RoutedChange], events: Sequence[TableEvent]
    ) -> tuple[Sequence[RoutedChange], Sequence[TableEvent]]:
        """What concerns mirrored tables."""
        if self._mirrors is None:
            return changes, events
        tables = {change.table for change in changes} | {event.table for event in events}
        left_out = {table for table in tables if not self._mirrors(table)}
        if not left_out:
            return changes, events
        self.note(left_out)
        return (
            [change for change in changes if change.table not in left_out],
            [event for event in events if event.table not in left_out],
        )
