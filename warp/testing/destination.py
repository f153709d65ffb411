"""A destination in memory: `warp.destinations.base.Destination` over a database that several share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from warp.change import BEGINNING, Key, TableRef
from warp.destinations.base import OnDrop, Transaction
from warp.errors import Fatal, Transient
from warp.evolution.decide import Decision, decide
from warp.evolution.infer import Seen
from warp.evolution.misfits import SMALL_ROWS, Assumed
from warp.evolution.rules import Layout, Rules
from warp.evolution.shape import Shape
from warp.history import Event
from warp.metadata.base import Metadata, SnapshotState
from warp.sources.base import StoredRow
from warp.testing import history
from warp.testing.database import Known, MemoryDatabase, Row
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

    def evolve(
        self,
        ref: TableRef,
        seen: Seen,
        rules: Rules,
        *,
        cause: str,
        position: str = BEGINNING,
    ) -> Decision:
        self._hook("destination.evolve")
        facts = Assumed(small=len(self.database.rows.get(ref, {})) <= SMALL_ROWS)
        decision = decide(self.database.shapes.get(ref), seen, rules, facts)
        if decision.changes:
            if not self.database.locks.free(("shape", ref)):
                raise Transient("a transaction rests on the table's shape")
            self.database.shapes[ref] = decision.after
        return decision

    def drop(self, ref: TableRef, ts: int, on_drop: OnDrop, *, soft: bool, cause: str) -> bool:
        self._hook("destination.drop")
        known = self.database.known.get(ref)
        if known is None or max(known.floor, known.kept) >= ts:
            return False
        if not self.database.unattended(ref):
            raise Transient("another transaction has the lock")
        known.block = None
        keeps_history = self._keeps_history(ref)
        if on_drop is OnDrop.KEEP or keeps_history:
            known.kept = ts
            if keeps_history:
                history.end_all(self.database, ref, Event.DROP, ts, before=ts)
        else:
            known.floor = ts
            self._end_snapshot(ref, known)
            self._remove(ref, 0, ts, soft=soft and on_drop is not OnDrop.DROP)
        if on_drop is OnDrop.DROP and not keeps_history and not self.database.rows.get(ref):
            self.database.shapes.pop(ref, None)
            for place in [place for place in self.database.kept if place[0] == ref]:
                del self.database.kept[place]
        self.database.audit.append((ref, f"source table dropped: {on_drop}"))
        return True

    def sweep(self, ref: TableRef, limit: int, *, soft: bool) -> int:
        self._hook("destination.sweep")
        known = self.database.known[ref]
        if known.snapshot is not SnapshotState.LOADING or not all(chunk.finished for chunk in known.chunks.values()):
            return 0
        if not self.database.unattended(ref):
            raise Transient("another transaction has the lock")
        if self._keeps_history(ref):
            ends = known.kept < known.floor
            return history.end_all(self.database, ref, Event.GONE, known.floor, limit=limit) if ends else 0
        return self._remove(ref, known.kept, known.floor, soft=soft, limit=limit)

    def end_stalled(self, seconds: float) -> int:
        self._hook("destination.end_stalled")
        return 0

    def _end_snapshot(self, ref: TableRef, known: Known) -> None:
        if known.snapshot.open:
            known.snapshot = SnapshotState.DONE
        known.chunks = {}
        self.database.tombstones.pop(ref, None)

    def _remove(self, ref: TableRef, since: int, ts: int, *, soft: bool, limit: int | None = None) -> int:
        rows = self.database.rows.get(ref, {})
        gone = [key for key, row in rows.items() if since <= row.ts < ts and not (soft and row.is_deleted)][:limit]
        for key in gone:
            if soft:
                rows[key] = Row(ts, rows[key].fields, is_deleted=True)
            else:
                del rows[key]
        return len(gone)

    def target(self, ref: TableRef) -> str:
        return str(ref)

    def tables(self, schema: str) -> dict[str, Shape]:
        self._hook("destination.tables")
        return {ref.table: shape for ref, shape in self.database.shapes.items() if ref.schema == schema}

    def rows(self, ref: TableRef, keys: Sequence[Key]) -> dict[Key, StoredRow]:
        self._hook("destination.rows")
        present = self._present(ref)
        return {key: present[key].fields for key in keys if key in present}

    def keys(self, ref: TableRef) -> Iterator[list[Key]]:
        self._hook("destination.keys")
        present = list(self._present(ref))
        for start in range(0, len(present), _BATCH):
            yield present[start : start + _BATCH]

    def count(self, ref: TableRef) -> int:
        self._hook("destination.count")
        return len(self._present(ref))

    def kept(self, ref: TableRef) -> int:
        self._hook("destination.kept")
        if self._keeps_history(ref):
            return 0
        alive = [row for row in self.database.rows.get(ref, {}).values() if not row.is_deleted]
        return len(alive) - len(self._present(ref))

    def _keeps_history(self, ref: TableRef) -> bool:
        shape = self.database.shapes.get(ref)
        return shape is not None and shape.layout is Layout.HISTORY

    def _present(self, ref: TableRef) -> dict[Key, Row]:
        if self._keeps_history(ref):
            return history.present(self.database, ref)
        kept = self.database.known[ref].kept if ref in self.database.known else 0
        rows = self.database.rows.get(ref, {})
        return {key: row for key, row in rows.items() if not row.is_deleted and row.ts >= kept}

    def close(self) -> None:
        """Nothing is held."""
