"""A toy database with a change stream: `warp.sources.base.Source` in memory.

Documents are dicts of JSON values with an `_id` that is a string or a number. Nothing ever waits: a stream that has
nothing at hand says so at once. Whoever answers may be behind, but never by more than a read allows.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import orjson

from warp.change import Change, Key, Operation, TableRef, cluster_seconds, cluster_time
from warp.errors import NotMirrored
from warp.layouts import Form
from warp.sources.base import (
    AsOf,
    Chunk,
    Document,
    Inspected,
    Piece,
    SourceTable,
    StoredRow,
    StreamPoint,
    TableEvent,
    TableFate,
)
from warp.testing import documents as toy
from warp.testing.hook import Hook, passing
from warp.testing.past import Held, Past
from warp.testing.stream import Logged, MemoryStream


class MemorySource:
    """See `warp.sources.base.Source` for the contract of each method that it has; the others change the documents."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        hook: Hook = passing,
        batch: int = 1000,
        piece: int = 1000,
        history_seconds: float | None = None,
        behind: Callable[[], int] = lambda: 0,
    ) -> None:
        """`clock` in seconds since 1970; `batch` changes in one batch of a stream and `piece` documents in one piece at
        most; `history_seconds` is what `headroom_seconds` counts from; `behind` is how many changes an answer lacks."""
        self.documents: dict[TableRef, dict[Key, dict[str, Any]]] = {}
        self.log: list[Logged] = []
        self.silent: dict[str, NotMirrored] = {}
        """Tables that are there, and of which no stream tells."""
        self.unsent: list[NotMirrored] = []
        self.batch = batch
        self._piece = piece
        self._clock = clock
        self._history_seconds = history_seconds
        self._behind = behind
        self.hook = hook
        self._ts = cluster_time(int(clock()), 1)
        self._past = Past(self._ts)
        self._transaction: int | None = None
        self._index = 0
        self.lost = ""
        self.cuts = 0

    # What a database does.

    def insert(self, schema: str, table: str, document: dict[str, Any]) -> None:
        """Insert a document. Raises KeyError where its key exists."""
        key = toy.key_of(document["_id"])
        if key in self._table(schema, table):
            raise KeyError(key.text)
        self._put(Operation.INSERT, TableRef(schema, table), key, document)

    def replace(self, schema: str, table: str, document: dict[str, Any]) -> None:
        """Replace a document whole. Raises KeyError where it does not exist."""
        key = toy.key_of(document["_id"])
        if key not in self._table(schema, table):
            raise KeyError(key.text)
        self._put(Operation.REPLACE, TableRef(schema, table), key, document)

    def update(self, schema: str, table: str, identity: Any, **fields: Any) -> None:
        """Change fields of a document; the change does not carry it. Raises KeyError where it does not exist."""
        key = toy.key_of(identity)
        present = self._table(schema, table)[key]
        self._put(Operation.UPDATE, TableRef(schema, table), key, present | fields)

    def delete(self, schema: str, table: str, identity: Any) -> None:
        """Delete a document. Raises KeyError where it does not exist."""
        key = toy.key_of(identity)
        before = self._table(schema, table).pop(key)
        self._append(Operation.DELETE, TableRef(schema, table), key, None, before)

    def drop(self, schema: str, table: str) -> None:
        """Drop a table with its documents."""
        gone = self.documents.pop(TableRef(schema, table), {})
        self._happen(TableRef(schema, table), TableFate.DROPPED, "drop", gone)

    def rename(self, schema: str, table: str, to: str) -> None:
        """Rename a table, over another one if there is one. Raises KeyError where the first does not exist."""
        moved, over = self.documents.pop(TableRef(schema, table)), self._held(schema, to)
        self.documents[TableRef(schema, to)] = moved
        cause = f"rename of {table} to {to}"
        self._happen(TableRef(schema, table), TableFate.DROPPED, cause, moved)
        self._happen(TableRef(schema, to), TableFate.REPLACED, cause, over)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is changed in the block commits together, at one cluster time; nothing of it where the block raises."""
        before, logged, passed = copy.deepcopy(self.documents), len(self.log), len(self._past)
        self._transaction, self._index = self._tick(), 0
        try:
            yield
        except BaseException:
            self.documents = before
            del self.log[logged:]
            self._past.undo(passed)
            raise
        finally:
            self._transaction = None

    def lose_history(self) -> None:
        """Throw away the log: only streams that have read all of it can go on."""
        self.lost = self.end().position
        self.log.clear()

    def cut_streams(self) -> None:
        """End every stream that is open."""
        self.cuts += 1

    # What a source does.

    def now(self) -> int:
        self.hook("source.now")
        return self._heard_of()

    def tables(self, schema: str) -> list[SourceTable]:
        self.hook("source.tables")
        return [
            SourceTable(name=ref.table, documents=len(held), size_bytes=len(orjson.dumps(list(held.values()))))
            for ref, held in sorted(self.documents.items())
            if ref.schema == schema
        ]

    def unmirrored(self, schema: str) -> dict[str, NotMirrored]:
        return dict(self.silent)

    def open_stream(self, schema: str, after: StreamPoint | None) -> MemoryStream:
        self.hook("source.open_stream")
        # The time of what may come next, as that of a real stream that is opened.
        begin = StreamPoint(position=self.end().position, ts=self.end().ts + 1)
        return MemoryStream(self, schema, after or begin)

    def headroom_seconds(self, ts: int) -> float | None:
        self.hook("source.headroom_seconds")
        if self._history_seconds is None:
            return None
        return cluster_seconds(ts) + self._history_seconds - self._clock()

    def decode(self, payload: bytes, fields: Form | None = None) -> list[Change]:
        return toy.decode(payload, fields)

    def extract(self, payload: bytes, position: str) -> bytes:
        return toy.extract(payload, position)

    def describe(self, payload: bytes) -> str:
        return toy.describe(payload)

    def key_hash(self, key: Key) -> int:
        return toy.key_hash(key)

    def lookup(
        self,
        schema: str,
        table: str,
        keys: Sequence[Key],
        after: int,
        fields: Form | None = None,
        *,
        decoding: Callable[[int], object] = lambda _: None,
    ) -> Iterator[AsOf]:
        self.hook("source.lookup")
        ts, held = self._as_of(schema, table, after)
        decoding(0)
        yield AsOf(ts, [(key, toy.record_of(held[key], fields)) for key in keys if key in held])

    def split(self, schema: str, table: str, documents: int) -> Iterator[Chunk]:
        self.hook("source.split")
        ordered = [key for key, _ in toy.in_range(self._held(schema, table), Chunk(lower=None, upper=None))]
        bounds = [None, *(toy.bound(key) for key in ordered[documents::documents]), None]
        for lower, upper in pairwise(bounds):
            yield Chunk(lower=lower, upper=upper)

    def read(self, schema: str, table: str, chunk: Chunk, after: int, fields: Form | None = None) -> Iterator[Piece]:
        self.hook("source.snapshot")
        ts, held = self._as_of(schema, table, after)
        for piece in toy.pieces(held, chunk, self._piece):
            self.hook("source.read")
            yield Piece(
                documents=[(key, toy.record_of(document, fields)) for key, document in piece],
                first=toy.bound(piece[0][0]),
                rest=toy.bound(piece[-1][0]),
                ts=ts,
            )

    def inspect(
        self, schema: str, table: str, what: Chunk | int, fields: Form | None = None
    ) -> Iterator[list[Inspected]]:
        held = self._held(schema, table)
        if isinstance(what, int):
            chosen = random.sample(list(held), min(what, len(held)))
            held, what = {key: held[key] for key in chosen}, Chunk(lower=None, upper=None)
        for piece in toy.pieces(held, what, self._piece):
            self.hook("source.inspect")
            yield [Inspected(key, toy.record_of(each, fields), len(orjson.dumps(each))) for key, each in piece]

    def scan(self, schema: str, table: str, chunk: Chunk) -> Iterator[list[tuple[Key, Document]]]:
        for piece in toy.pieces(self._held(schema, table), chunk, self._piece):
            self.hook("source.scan")
            yield [(key, document) for key, document in piece]

    def fetch(self, schema: str, table: str, keys: Sequence[Key]) -> dict[Key, Document]:
        self.hook("source.fetch")
        held = self._held(schema, table)
        return {key: held[key] for key in keys if key in held}

    def differences(self, document: Document, key: Key, row: StoredRow, fields: Form | None = None) -> tuple[str, ...]:
        return toy.differences(document, row, fields)

    def close(self) -> None:
        """Nothing is held."""

    # How both hang together.

    def end(self) -> StreamPoint:
        """After all that has been logged, and before all that will be."""
        ts = self._now()
        return StreamPoint(position=f"{ts:016x}ffffff", ts=ts)

    def _as_of(self, schema: str, table: str, after: int) -> tuple[int, dict[Key, dict[str, Any]]]:
        """The state that a read is answered with, and when that was."""
        self._ts = max(self._now(), after)  # what comes after a read has a later time than it
        ts = max(after, self._heard_of())
        return ts, self._past.at(ts, TableRef(schema, table), self._held(schema, table))

    def _heard_of(self) -> int:
        """The time up to which whoever answers has all changes."""
        return self._past.before_newest(self._behind()) or self._now()

    def _table(self, schema: str, table: str) -> dict[Key, dict[str, Any]]:
        return self.documents.setdefault(TableRef(schema, table), {})

    def _held(self, schema: str, table: str) -> dict[Key, dict[str, Any]]:
        return self.documents.get(TableRef(schema, table), {})

    def _put(self, operation: Operation, ref: TableRef, key: Key, document: dict[str, Any]) -> None:
        before = self._table(*ref).get(key)
        self._table(*ref)[key] = copy.deepcopy(document)
        self._append(operation, ref, key, None if operation is Operation.UPDATE else document, before)

    def _append(self, operation: Operation, ref: TableRef, key: Key, carried: Held | None, before: Held | None) -> None:
        ts, position = self._stamp()
        self._past.note(ts, ref, key, before)
        raw = toy.encode(position, ts, operation, key, carried, int(self._clock() * 1000))
        self.log.append(Logged(position, ts, ref, key, operation, raw))

    def _happen(self, ref: TableRef, fate: TableFate, cause: str, before: dict[Key, dict[str, Any]]) -> None:
        ts, position = self._stamp()
        self._past.note_all(ts, ref, before, self._held(*ref))
        event = TableEvent(table=ref.table, fate=fate, ts=ts, cause=cause)
        self.log.append(Logged(position, ts, ref, toy.key_of(""), None, None, event))

    def _now(self) -> int:
        self._ts = max(self._ts, cluster_time(int(self._clock()), 0))
        return self._ts

    def _tick(self) -> int:
        self._ts = self._now() + 1
        return self._ts

    def _stamp(self) -> tuple[int, str]:
        if self._transaction is None:
            return self._tick(), f"{self._ts:016x}{0:06x}"
        self._index += 1
        return self._transaction, f"{self._transaction:016x}{self._index:06x}"
