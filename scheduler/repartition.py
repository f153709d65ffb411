"""Giving tables another number of partitions, while the stream stands still.

What was read must be applied first, so that all partitions, old and new, stand at one position.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from scheduler.pending import Pending
from scheduler.routing import Router
from warp.change import TableRef
from warp.metadata.base import Metadata
from warp.monitoring.logging import get_logger


class Repartition:
    """The tables of one schema that have another number of partitions than they should."""

    def __init__(self, schema: str, metadata: Metadata, wanted: Callable[[str], int]) -> None:
        """`wanted`: how many partitions a table should have."""
        self._schema = schema
        self._metadata = metadata
        self._wanted = wanted
        self._tables: dict[str, str] = {}
        """Each with the position its markers have reached: the stream must have been read past it."""
        self._left_out: frozenset[str] = frozenset()
        self._log = get_logger(__name__).bind(schema=schema)

    def consider(self, table: str, positions: Mapping[int, str]) -> None:
        """A table has these partitions, each at a position."""
        if len(positions) != self._wanted(table):
            self._tables[table] = max(positions.values())

    def leave_out(self, tables: Collection[str]) -> None:
        """Nothing can be applied to these now: they are not waited for. The others are, also such as were left out."""
        self._left_out = frozenset(tables)

    def due(self, position: str) -> bool:
        """Whether the stream, read up to that position, must stand still for it."""
        reached = [self._tables[table] for table in self._waiting]
        return bool(reached) and position >= max(reached)

    @property
    def _waiting(self) -> list[str]:
        return sorted(self._tables.keys() - self._left_out)

    def carry_out(self, router: Router, pending: Pending, position: str) -> bool:
        """Switch the tables of which nothing is pending; False: another tailer is ahead, this one must start over."""
        for table in self._waiting:
            if pending.holds(table):
                continue
            before, of = router.partitions(table), self._wanted(table)
            if not self._metadata.repartition(TableRef(self._schema, table), before, of, position):
                self._log.info("another tailer is ahead, starting over", table=table)
                return False
            router.set_table(table, of, dict.fromkeys(range(of), position))
            del self._tables[table]
            self._log.info("partitions changed", table=table, partitions=of)
        return True

    def clear(self) -> None:
        """Forget all: the tailer starts over."""
        self._tables.clear()
