"""A destination in memory: `warp.destinations.base.Destination` over a database that several share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from warp.change import Key, TableRef
from warp.destinations.base import Transaction
from warp.errors import Fatal, Transient
from warp.evolution.decide import Decision, decide
from warp.evolution.infer import Seen
from warp.evolution.shape import Shape
from warp.metadata.base import Metadata
from warp.sources.base import StoredRow
from warp.testing.database import MemoryDatabase, Row
from warp.testing.hook import Hook, passing
from warp.testing.metadata import MemoryMetadata
from warp.testing.transaction import MemoryTransaction

_BATCH = 1000


class MemoryDestination:
    """See `warp.destinations.base.Destination` for the contract of each method."""

    metadata: Metadata

    def __init__(self, database: MemoryDatabase | None = None, *, hook: Hook = passing) -> None:
        self.database = database or MemoryDatabase()
        self.metadata = MemoryMetadata(self.database, hook=hook)
        self._hook = hook

    def migrate(self) -> Sequence[str]:
        self._hook("destination.migrate")
        applied = [] if self.database.migrated else ["001 memory"]
        self.database.migrated = True
        return applied

    def require_migrated(self) -> None:
        self._hook("destination.require_migrated")
        if not self.database.migrated:
            raise Fatal("the metadata tables are missing or out of date", remedy="run: cartridge-warp migrate")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self._hook("destination.transaction")
        transaction = MemoryTransaction(self.database, self._hook)
        try:
            yield transaction
            self._hook("destination.commit")
            transaction.commit()
        finally:
            self.database.locks.release(transaction)
        self._hook("destination.committed")

    def evolve(self, ref: TableRef, seen: Seen, *, soft_delete: bool, cause: str) -> Decision:
        self._hook("destination.evolve")
        decision = decide(self.database.shapes.get(ref), seen, soft_delete=soft_delete)
        if decision.changes:
            if not self.database.locks.free(("shape", ref)):
                raise Transient("a transaction rests on the table's shape")
            self.database.shapes[ref] = decision.after
        return decision

    def tables(self, schema: str) -> dict[str, Shape]:
        self._hook("destination.tables")
        return {ref.table: shape for ref, shape in self.database.shapes.items() if ref.schema == schema}

    def rows(self, ref: TableRef, shape: Shape, keys: Sequence[Key]) -> dict[Key, StoredRow]:
        self._hook("destination.rows")
        present = self._present(ref)
        return {key: present[key].fields for key in keys if key in present}

    def keys(self, ref: TableRef, shape: Shape) -> Iterator[list[Key]]:
        self._hook("destination.keys")
        present = list(self._present(ref))
        for start in range(0, len(present), _BATCH):
            yield present[start : start + _BATCH]

    def count(self, ref: TableRef, shape: Shape) -> int:
        self._hook("destination.count")
        return len(self._present(ref))

    def _present(self, ref: TableRef) -> dict[Key, Row]:
        return {key: row for key, row in self.database.rows.get(ref, {}).items() if not row.is_deleted}

    def close(self) -> None:
        """Nothing is held."""
