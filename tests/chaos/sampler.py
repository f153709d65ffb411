"""Looks at the rows in PostgreSQL again and again, past the proxies, and has the checker of order judge them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from types import TracebackType
from typing import Self

import psycopg
from psycopg import errors, sql

from tests.chaos.order import Order

_PAUSE_SECONDS = 0.03
"""Between two looks at a table each."""
_AWAY_SECONDS = 0.2
_OPTIONS = "-c lock_timeout=200 -c statement_timeout=30000"
"""A table that somebody locks is looked at later."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One table to look at."""

    schema: str
    table: str
    soft: bool = False
    """Rows of deleted documents stay, marked."""
    often: bool = False
    """Looked at before each of the others."""

    @property
    def query(self) -> sql.Composed:
        """Document and stamp of every document that is there."""
        query = sql.SQL("SELECT doc, stamp FROM {}").format(sql.Identifier(self.schema, self.table))
        return query + sql.SQL(" WHERE is_deleted IS NOT TRUE") if self.soft else query


class Sampler:
    """Looks, in a thread of its own, from the beginning of a block to its end."""

    def __init__(self, dsn: str, tables: Sequence[Sampled], order: Order) -> None:
        self.order = order
        self._dsn = dsn
        self._tables = tables
        self._stop = threading.Event()
        self.failure: Exception | None = None
        """What ended it before its time."""
        self._thread = threading.Thread(target=self._work, name="sampler")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        turns = self._turns()
        try:
            while not self._stop.is_set():
                try:
                    with psycopg.connect(self._dsn, autocommit=True, options=_OPTIONS, connect_timeout=5) as connection:
                        while not self._stop.wait(_PAUSE_SECONDS):
                            self._look(connection, next(turns))
                except psycopg.OperationalError:
                    self._stop.wait(_AWAY_SECONDS)
        except Exception as error:
            self.failure = error

    def _turns(self) -> Iterator[Sampled]:
        often = [table for table in self._tables if table.often]
        for table in cycle([table for table in self._tables if not table.often]):
            yield from often
            yield table

    def _look(self, connection: psycopg.Connection, table: Sampled) -> None:
        try:
            rows = connection.execute(table.query).fetchall()
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.LockNotAvailable, errors.QueryCanceled):
            return  # not there yet, or not just now
        self.order.saw(f"{table.schema}.{table.table}", rows)
