"""Dead letters as they come about: real documents that a CHECK constraint, added by hand, keeps out of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql
from pymongo.database import Database

from tests.support.wait import eventually
from warp.change import BEGINNING, Key, KeyKind, Partition, TableRef
from warp.config import TableSettings
from warp.destinations.base import Destination
from warp.metadata.base import LetterFilter, StoredLetter
from warp.sources.mongodb.source import MongoSource
from warp.testing import MemoryBroker, MemoryLogs
from warp.transport.base import Entry
from warp.verify import verify_schema
from workers.apply import Applier, Outcome
from workers.replay import Replayer
from workers.report import Report

TABLE = "items"
REFUSED = 77007700
"""A value of `v` that the constraint forbids."""


class Parking:
    """One collection that is streamed into one table, step by step."""

    def __init__(
        self,
        source: MongoSource,
        destination: Destination,
        database: Database[dict[str, Any]],
        postgresql: psycopg.Connection,
        *,
        soft: bool = False,
    ) -> None:
        self.source = source
        self.destination = destination
        self.collection = database[TABLE]
        self.ref = TableRef(database.name, TABLE)
        self.partition = Partition(*self.ref, 0, 1)
        self._soft = soft
        self._postgresql = postgresql
        self._logs = MemoryLogs(MemoryBroker())
        self._stream = source.open_stream(database.name, None)
        self._position = BEGINNING
        self.collection.insert_one({"_id": 0, "v": 0})
        self.apply()

    def settings(self, _: TableRef) -> TableSettings:
        """The settings of the table."""
        return TableSettings(batch_size=2000, deletion_strategy="soft" if self._soft else "hard", partitions=1)

    def refuse(self) -> None:
        """Have PostgreSQL refuse documents with REFUSED in `v`."""
        self._alter(sql.SQL("ADD CONSTRAINT forbidden CHECK (v <> {})").format(sql.Literal(REFUSED)))

    def relent(self) -> None:
        """Take that back."""
        self._alter(sql.SQL("DROP CONSTRAINT forbidden"))

    def _alter(self, what: sql.Composable) -> None:
        self._postgresql.execute(sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(*self.ref), what))

    def send(self) -> None:
        """Put all changes there are into the log."""
        ts = self.source.now()

        def read() -> bool:
            batch = self._stream.next_batch(0.2)
            if batch.changes:
                last = batch.changes[-1].position
                payload = b"".join(change.raw for change in batch.changes)
                entry = Entry(
                    partition=self.partition,
                    prev=self._position,
                    last=last,
                    changes=len(batch.changes),
                    epoch="epoch",
                    correlation_id="c0ffee",
                    payload=payload,
                )
                self._logs.append([entry])
                self._position = last
            return not batch.changes and batch.end.ts >= ts

        eventually(read, what="all changes read")

    def applier(self, destination: Destination | None = None) -> Applier:
        """A worker's applier, over this destination or another one."""
        return Applier(
            self.source, destination or self.destination, self._logs, settings=self.settings, report=Report()
        )

    def apply(self) -> None:
        """Send and apply all changes there are."""
        self.send()
        while self.applier().step(self.partition) is Outcome.APPLIED:
            pass

    def park(self, *numbers: int) -> list[StoredLetter]:
        """Park the inserts of documents of these numbers; the letters, oldest first."""
        self.refuse()
        for number in numbers:
            self.collection.insert_one({"_id": number, "v": REFUSED})
        self.apply()
        return self.letters()

    def letters(self) -> list[StoredLetter]:
        """All letters, oldest first."""
        return self.destination.metadata.letters(LetterFilter(schema=self.ref.schema), None)[::-1]

    def replayer(
        self, destination: Destination | None = None, wait: Callable[[float], object] = lambda _: None
    ) -> Replayer:
        """A replayer, over this destination or another one."""
        return Replayer(
            self.source, destination or self.destination, settings=self.settings, report=Report(), wait=wait
        )

    def identical(self) -> bool:
        """Whether `verify` finds no difference."""
        [result] = verify_schema(self.source, self.destination, self.ref.schema, patience=0)
        return result.identical


def key(number: int) -> Key:
    """The key of a number."""
    return Key(KeyKind.INT, str(number))
