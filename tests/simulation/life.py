"""What happens at the source meanwhile: documents come, change and go."""

from __future__ import annotations

import random
from typing import Any

from tests.simulation.truth import Truth
from warp.change import TableRef
from warp.testing import MemorySource
from warp.testing.documents import key_of

SCHEMA = "shop"
TABLES = ("orders", "carts")
LATE_TABLE = "late"
"""A table that only the stream brings."""
KEYS: tuple[Any, ...] = (1, 2, 3, 4, 5, "six", 7.5)
POISON = 5


class Life:
    """Changes the source, and tells the truth about it."""

    def __init__(self, rng: random.Random, source: MemorySource, truth: Truth, *, updates: bool) -> None:
        """`updates`: changes come also without their document."""
        self._rng = rng
        self._source = source
        self._truth = truth
        self._updates = updates

    def change(self, *, late: bool) -> None:
        """One change at the source, or a few in one transaction; `late`: also of the table that comes late."""
        tables = (*TABLES, LATE_TABLE) if late else TABLES
        if self._rng.random() < 0.1:
            with self._source.transaction():
                for _ in range(self._rng.randint(2, 4)):
                    self._change_one(self._rng.choice(tables))
        else:
            self._change_one(self._rng.choice(tables))
        self._truth.note()

    def _change_one(self, table: str) -> None:
        rng = self._rng
        identity = rng.choice(KEYS)
        fields = {"v": len(self._source.log) + 1}
        document = {"_id": identity, **fields, f"f{rng.randrange(4)}": rng.choice((1, "text", None, [1, {"a": None}]))}
        if key_of(identity) not in self._source.documents.get(TableRef(SCHEMA, table), {}):
            self._source.insert(SCHEMA, table, document)
        elif rng.random() < 0.35:
            self._source.delete(SCHEMA, table, identity)
        elif self._updates and rng.random() < 0.5:
            self._source.update(SCHEMA, table, identity, **fields)
        else:
            self._source.replace(SCHEMA, table, document)
