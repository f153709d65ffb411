"""Staging tables: temporary tables that COPY fills and the guarded upsert reads, one for each shape in use.

They live as long as the session and are emptied at each commit; making one costs more than a small step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import psycopg
from psycopg import sql

from warp.change import TableRef
from warp.destinations.postgresql.names import target
from warp.destinations.postgresql.rows import columns
from warp.evolution.shape import Shape

_COPY_BYTES = 256 * 1024
"""Lines are handed to COPY in pieces of about this size."""
KEEP = 16
"""More would make every commit slower: PostgreSQL empties all of them."""


class Stages:
    """The staging tables of one session."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[TableRef, int], str] = OrderedDict()
        self._fresh: list[tuple[TableRef, int]] = []
        self._counter = 0

    def stage(self, connection: psycopg.Connection, ref: TableRef, shape: Shape) -> sql.Identifier:
        """The empty staging table for a table in that shape."""
        name = self._names.get((ref, shape.version))
        if name is None:
            if len(self._names) >= KEEP:
                _, oldest = self._names.popitem(last=False)
                connection.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(sql.Identifier(oldest)))
            self._counter += 1
            name = f"warp_stage_{self._counter}"
            connection.execute(
                sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA").format(
                    sql.Identifier(name),
                    sql.SQL(", ").join(map(sql.Identifier, columns(shape))),
                    sql.Identifier(*target(ref)),
                )
            )
            self._names[ref, shape.version] = name
            self._fresh.append((ref, shape.version))
        self._names.move_to_end((ref, shape.version))
        return sql.Identifier("pg_temp", name)

    def committed(self) -> None:
        """The transaction that made the newest tables has committed."""
        self._fresh.clear()

    def rolled_back(self) -> None:
        """The transaction is undone, and with it the tables that it made."""
        for table in self._fresh:
            self._names.pop(table, None)
        self._fresh.clear()

    def forget(self) -> None:
        """The session is gone, and all its tables."""
        self._names.clear()
        self._fresh.clear()


_MORE = "/* {} s more */ "
MORE_SECONDS = r"^/\* ([0-9]+) s more \*/"
"""Finds in a COPY how much longer than others it may wait for its client, in seconds."""


def fill(connection: psycopg.Connection, stage: sql.Identifier, lines: Iterable[str], more_seconds: int = 0) -> None:
    """Put lines of COPY text into a staging table. `more_seconds`: how much longer a line may take than usual."""
    comment = sql.SQL(_MORE.format(more_seconds) if more_seconds else "")
    statement = comment + sql.SQL("COPY {} FROM STDIN").format(stage)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        piece: list[str] = []
        size = 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size > _COPY_BYTES:
                copy.write("\n".join(piece) + "\n")
                piece.clear()
                size = 0
        if piece:
            copy.write("\n".join(piece) + "\n")
