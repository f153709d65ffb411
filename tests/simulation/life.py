"""What happens at the source meanwhile: documents come, change and go, and so do tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from tests.simulation.history import History
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather
from warp.change import TableRef
from warp.testing import MemorySource
from warp.testing.documents import key_of

SCHEMA = "shop"
TABLES = ("orders", "carts")
LATE_TABLE = "late"
"""A table that only the stream brings."""
ALL_TABLES = (*TABLES, LATE_TABLE)
KEYS: tuple[Any, ...] = (1, 2, 3, 4, 5, "six", 7.5)


class Life:
    """Changes the source, and has it noted in the history."""

    def __init__(
        self, rng: random.Random, source: MemorySource, history: History, weather: Weather, trace: Trace
    ) -> None:
        self._rng = rng
        self._source = source
        self._history = history
        self._weather = weather
        self._trace = trace
        self._stamp = 0

    def change(self, *, late: bool) -> None:
        """One deed at the source; `late`: also with the table that comes late."""
        tables = ALL_TABLES if late else TABLES
        dice = self._rng.random()
        if late and dice < self._weather.upheavals:
            self._upheave()
        elif dice > 0.9:
            one = self._drawn(tables) if self._rng.random() < 0.5 else None
            with self._source.transaction():
                for _ in range(self._rng.randint(2, 4)):
                    self._change_document(*(one or self._drawn(tables)))
        else:
            self._change_document(*self._drawn(tables))

    def lose_history(self) -> None:
        """Only streams that have read everything can go on."""
        self._history.lose()
        self._trace.note("the source loses its history")

    def _drawn(self, tables: Sequence[str]) -> tuple[str, Any]:
        return self._rng.choice(tables), self._rng.choice(KEYS)

    def _change_document(self, table: str, identity: Any) -> None:
        rng = self._rng
        self._stamp += 1
        fields = {"v": self._stamp}
        document = {"_id": identity, **fields, f"f{rng.randrange(4)}": rng.choice((1, "text", None, [1, {"a": None}]))}
        if not self._history.exists((TableRef(SCHEMA, table), key_of(identity))):
            self._source.insert(SCHEMA, table, document)
        elif rng.random() < 0.35:
            self._source.delete(SCHEMA, table, identity)
        elif self._weather.updates and rng.random() < 0.5:
            self._source.update(SCHEMA, table, identity, **fields)
        else:
            self._source.replace(SCHEMA, table, document)
        logged = self._source.log[-1]
        self._trace.note(f"{logged.operation} {table} {identity}: v={self._stamp} at {logged.position}")
        self._history.note()

    def _upheave(self) -> None:
        """Drop a table, or all of them, or rename one, over another one or not."""
        rng = self._rng
        table, other = rng.sample(ALL_TABLES, 2)
        dice = rng.random()
        if dice < 0.1:
            for each in ALL_TABLES:
                self._drop(each)
            self._source.cut_streams()
        elif dice < 0.5:
            self._drop(table)
        elif TableRef(SCHEMA, table) in self._source.documents:
            self._source.rename(SCHEMA, table, other)
            self._trace.note(f"rename {table} to {other} at {self._source.log[-1].position}")
            self._history.note()

    def _drop(self, table: str) -> None:
        if TableRef(SCHEMA, table) in self._source.documents:
            self._source.drop(SCHEMA, table)
            self._trace.note(f"drop {table} at {self._source.log[-1].position}")
            self._history.note()
