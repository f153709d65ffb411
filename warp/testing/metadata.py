"""Progress in memory: `warp.metadata.base.Metadata`, each call at once and whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from warp.change import Partition, TableRef
from warp.errors import Transient
from warp.metadata.base import (
    Block,
    KeptValues,
    LetterFilter,
    LetterState,
    LoggedError,
    SchemaState,
    SnapshotState,
    StoredLetter,
    TableState,
)
from warp.sources.base import Chunk, SourceTable, StreamPoint
from warp.testing.database import ChunkState, Known, Marker, MemoryDatabase
from warp.testing.hook import Hook, passing


class MemoryMetadata:
    """See `warp.metadata.base.Metadata` for the contract of each method."""

    def __init__(self, database: MemoryDatabase, *, hook: Hook = passing) -> None:
        self._database = database
        self._hook = hook

    def schema(self, name: str) -> SchemaState | None:
        self._hook("metadata.schema")
        return self._database.schemas.get(name)

    def begin_schema(
        self, name: str, start: StreamPoint, tables: Sequence[SourceTable], partitions: Mapping[str, int]
    ) -> SchemaState:
        self._hook("metadata.begin_schema")
        if name not in self._database.schemas:
            self._database.schemas[name] = SchemaState(
                name=name,
                start_ts=start.ts,
                checkpoint=start,
                checkpointed_at=self._now(),
                advanced_at=self._now(),
                source_ts=start.ts,
            )
            for table in tables:
                self._database.known[TableRef(name, table.name)] = Known(
                    partitions[table.name], SnapshotState.PLANNED, table.documents
                )
        return self._database.schemas[name]

    def save_checkpoint(self, name: str, checkpoint: StreamPoint, source_ts: int) -> None:
        self._hook("metadata.save_checkpoint")
        held = self._database.schemas[name]
        self._database.schemas[name] = replace(
            held,
            checkpoint=StreamPoint(
                position=max(held.checkpoint.position, checkpoint.position), ts=max(held.checkpoint.ts, checkpoint.ts)
            ),
            source_ts=max(held.source_ts, source_ts),
            checkpointed_at=self._now(),
            advanced_at=self._now() if checkpoint.position > held.checkpoint.position else held.advanced_at,
        )

    def markers(self, schema: str) -> dict[Partition, str]:
        self._hook("metadata.markers")
        return {
            Partition(schema, ref.table, number, marker.partitions): marker.position
            for (ref, number), marker in self._database.markers.items()
            if ref.schema == schema
        }

    def partitions(self, schema: str) -> dict[str, int]:
        self._hook("metadata.partitions")
        return {ref.table: known.partitions for ref, known in self._of(schema)}

    def add_tables(self, schema: str, partitions: Mapping[str, int]) -> None:
        self._hook("metadata.add_tables")
        for table, of in partitions.items():
            self._database.known.setdefault(TableRef(schema, table), Known(of))

    def repartition(self, ref: TableRef, before: int, after: int, position: str) -> bool:
        self._hook("metadata.repartition")
        markers = {number: marker for (of, number), marker in self._database.markers.items() if of == ref}
        if not all(map(self._database.locks.free, [("table", ref), *(("marker", ref, number) for number in markers)])):
            raise Transient("another transaction has the lock")
        known = self._database.known[ref]
        if known.partitions != before or any(marker.position > position for marker in markers.values()):
            return False
        known.partitions = after
        newest = max((marker.ts for marker in markers.values()), default=0)
        for number in {*markers, *range(after)}:
            self._database.markers.setdefault((ref, number), Marker(after))
            marker = self._database.markers[ref, number]
            marker.partitions, marker.position, marker.ts = after, position, newest
        return True

    def tables(self, schema: str) -> list[TableState]:
        self._hook("metadata.tables")
        return [self._state(ref, known) for ref, known in self._of(schema)]

    def kept_values(self, schema: str) -> dict[str, list[KeptValues]]:
        self._hook("metadata.kept_values")
        ordered = sorted(self._database.kept.items(), key=lambda item: (-item[1].values, item[1].field or ""))
        tables: dict[str, list[KeptValues]] = {}
        for (ref, _, _), kept in ordered:
            if ref.schema == schema:
                tables.setdefault(ref.table, []).append(kept)
        return tables

    def add_chunks(self, ref: TableRef, chunks: Iterable[Chunk]) -> int:
        self._hook("metadata.add_chunks")
        known = self._database.known[ref]
        if known.snapshot is not SnapshotState.PLANNED:
            return 0
        known.chunks = {
            number: ChunkState(chunk.lower, chunk.upper) for number, chunk in enumerate(chunks, known.last_chunk + 1)
        }
        known.last_chunk += len(known.chunks)
        known.snapshot = SnapshotState.LOADING
        return len(known.chunks)

    def replace_table(self, ref: TableRef, ts: int, partitions: int, cause: str) -> bool:
        self._hook("metadata.replace_table")
        known = self._database.known.setdefault(ref, Known(partitions))
        if known.floor >= ts:
            return False
        if not self._database.unattended(ref):
            raise Transient("another transaction has the lock")
        known.floor = ts
        known.snapshot = SnapshotState.PLANNED
        known.chunks = {}
        self._database.audit.append((ref, "source table replaced: to be read again"))
        return True

    def block(self, ref: TableRef, reason: str, remedy: str | None) -> None:
        self._hook("metadata.block")
        known = self._database.known.get(ref)
        if known is not None and known.block is None:
            known.block = Block(reason=reason, remedy=remedy, since=self._now())

    def blocked(self, schema: str) -> set[str]:
        self._hook("metadata.blocked")
        return {ref.table for ref, known in self._of(schema) if known.block}

    def unswept(self, schema: str) -> set[str]:
        self._hook("metadata.unswept")
        return {ref.table for ref, known in self._of(schema) if known.floor and known.snapshot.open}

    def settle(self, schema: str, tables: Mapping[str, int]) -> None:
        self._hook("metadata.settle")
        for table, ts in tables.items():
            known = self._database.known[TableRef(schema, table)]
            known.settled = max(known.settled, ts)

    def missing_chunks(self, ref: TableRef, limit: int) -> list[int]:
        self._hook("metadata.missing_chunks")
        chunks = self._database.known[ref].chunks
        return [number for number, chunk in sorted(chunks.items()) if not chunk.finished][:limit]

    def begins_at(self, ref: TableRef) -> int:
        self._hook("metadata.begins_at")
        schema, known = self._database.schemas.get(ref.schema), self._database.known.get(ref)
        return max(schema.start_ts - 1, known.floor) if schema and known else 0

    def close_snapshot(self, ref: TableRef) -> bool:
        self._hook("metadata.close_snapshot")
        known = self._database.known[ref]
        if known.snapshot is not SnapshotState.LOADING or not all(chunk.finished for chunk in known.chunks.values()):
            return False
        known.snapshot = SnapshotState.DONE
        self._database.tombstones.pop(ref, None)
        return True

    def excluded(self, schema: str) -> set[str]:
        self._hook("metadata.excluded")
        return {ref.table for ref in self._database.excluded if ref.schema == schema}

    def exclude(self, ref: TableRef) -> bool:
        self._hook("metadata.exclude")
        if not self._database.unattended(ref):
            raise Transient("another transaction has the lock")
        known = self._database.known.get(ref)
        if known is not None:
            known.block = None
            if known.snapshot.open:
                known.snapshot = SnapshotState.DONE
            known.chunks = {}
            self._database.tombstones.pop(ref, None)
        if ref in self._database.excluded:
            return False
        self._database.excluded.add(ref)
        self._database.audit.append((ref, "table excluded: left as it stands"))
        return True

    def include(self, ref: TableRef) -> None:
        self._hook("metadata.include")
        self._database.excluded.discard(ref)
        if ref not in {*self._database.rows, *self._database.histories}:  # dropped by hand
            self._database.shapes.pop(ref, None)

    def letters(self, chosen: LetterFilter, limit: int | None) -> list[StoredLetter]:
        self._hook("metadata.letters")
        newest = sorted(self._database.letters.values(), key=lambda stored: -stored.number)
        found = [stored for stored in newest if self._is_chosen(stored, chosen)][:limit]
        return [replace(stored, letter=replace(stored.letter, payload=b"")) for stored in found]

    def _is_chosen(self, stored: StoredLetter, chosen: LetterFilter) -> bool:
        letter, age, error = stored.letter, self._now() - stored.parked_at, (chosen.error or "").lower()
        return (
            (chosen.numbers is None or stored.number in chosen.numbers)
            and chosen.schema in (None, letter.ref.schema)
            and chosen.table in (None, letter.ref.table)
            and chosen.key in (None, letter.key.text)
            and (error in letter.error.lower() or error == letter.error_class.lower())
            and (chosen.older_than is None or age >= chosen.older_than)
            and (chosen.newer_than is None or age <= chosen.newer_than)
            and chosen.state in (None, stored.state)
        )

    def letter(self, number: int) -> StoredLetter | None:
        self._hook("metadata.letter")
        return self._database.letter(number)

    def open_letters(self, schema: str, limit: int) -> dict[int, TableRef]:
        self._hook("metadata.open_letters")
        newest = reversed(self._database.open_letters())
        ours = [(stored.number, stored.letter.ref) for stored in newest if stored.letter.ref.schema == schema]
        return dict(ours[:limit])

    def discard_letter(self, number: int) -> bool:
        self._hook("metadata.discard_letter")
        stored = self._database.letter(number)
        if stored is None or stored.state is not LetterState.OPEN:
            return False
        if not self._database.locks.free(("letter", number)):
            raise Transient("another transaction has the lock")
        self._database.change_letter(number, state=LetterState.DISCARDED, resolved_at=self._now())
        return True

    def log_error(
        self, schema: str, table: str | None, error: Exception, remedy: str | None, correlation_id: str | None
    ) -> None:
        self._hook("metadata.log_error")
        self._database.log_error(schema, table, type(error).__name__, str(error), remedy, correlation_id)

    def errors(self, schema: str, limit: int) -> list[LoggedError]:
        self._hook("metadata.errors")
        return [error for error in reversed(self._database.errors.values()) if error.schema == schema][:limit]

    def _of(self, schema: str) -> list[tuple[TableRef, Known]]:
        return [(ref, known) for ref, known in sorted(self._database.known.items()) if ref.schema == schema]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._database.clock(), UTC)

    def _state(self, ref: TableRef, known: Known) -> TableState:
        markers = [marker for (of, _), marker in self._database.markers.items() if of == ref]
        return TableState(
            ref=ref,
            target_name=ref.table,
            partitions=known.partitions,
            snapshot=known.snapshot,
            documents_estimate=known.documents_estimate,
            chunks=len(known.chunks),
            chunks_loaded=sum(chunk.finished for chunk in known.chunks.values()),
            rows_loaded=sum(chunk.rows for chunk in known.chunks.values()),
            changes_applied=sum(marker.changes for marker in markers),
            open_letters=sum(stored.letter.ref == ref for stored in self._database.open_letters()),
            floor=known.floor,
            settled=known.settled,
            blocked=known.block,
        )
