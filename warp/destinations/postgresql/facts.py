"""What only the table can say about how it may become: `warp.evolution.misfits.Facts`."""

from __future__ import annotations

from functools import cached_property

import psycopg
from psycopg import sql

from warp.change import TableRef
from warp.destinations.postgresql.names import target
from warp.destinations.postgresql.widening import not_exact_in_double
from warp.evolution.misfits import SMALL_ROWS
from warp.evolution.shape import Column


class TableFacts:
    """Of one table, which others may be writing into."""

    def __init__(self, connection: psycopg.Connection, ref: TableRef) -> None:
        self._connection = connection
        self._table = sql.Identifier(*target(ref))

    def is_small(self) -> bool:
        return self._is_small

    @cached_property
    def _is_small(self) -> bool:
        # Counted, no further than need be: statistics may be of any age.
        counted = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS rows")
        row = self._connection.execute(counted.format(self._table, sql.Literal(SMALL_ROWS + 1))).fetchone()
        return row is not None and int(row[0]) <= SMALL_ROWS

    def is_exact_in_double(self, column: Column) -> bool:
        found = sql.SQL("SELECT FROM {} WHERE {} LIMIT 1").format(self._table, not_exact_in_double(column))
        return self._connection.execute(found).rowcount == 0

    def can_be_rewritten(self) -> bool:
        return True
