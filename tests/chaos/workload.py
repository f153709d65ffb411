"""The writer: a seeded random workload over the collections of several databases, at a steady pace.

The changes and their order follow from the seed; in what portions they are sent follows from the pace. What the
changes are stands in `shares` and `operations`, how each gets done in `attempts`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pymongo import MongoClient

from tests.chaos.attempts import MAJORITY, Attempts, Record
from tests.chaos.operations import Document, Operation
from tests.chaos.shares import PROFILES, SHARE_OF_CHANGES, Share, tally

APP_NAME = "chaos-writer"
"""By which proxies know the writer's connections."""
_TICK_SECONDS = 0.05
_MOST_AT_ONCE = 500
_MOST_BEHIND_SECONDS = 10.0
"""What an outage kept from being written is caught up on, up to so much."""
_FORMS = {"bulk": 75, "transaction": 15, "find and modify": 10}
_SMALL = 8
"""Operations of a transaction, or findAndModify commands in a row."""


class Workload:
    """Changes documents in a thread of its own from `start` to `stop`."""

    def __init__(self, uri: str, databases: Sequence[str], *, seed: int, changes_per_second: float) -> None:
        self.counts: Counter[str] = Counter()
        """What is acknowledged: documents changed, by kind of change; bulk writes, transactions and so on."""
        self.changes = 0
        """Documents changed since `start`."""
        self.record = Record()
        self._rng = random.Random(f"{seed}:workload")
        self.client: MongoClient[Document] = MongoClient(uri, appname=APP_NAME, serverSelectionTimeoutMS=5_000)
        self._give_up = threading.Event()
        self._attempts = Attempts(self.client, self.record, self._give_up)
        self.shares = [
            Share(self.client[database].get_collection(name, write_concern=MAJORITY), self._rng)
            for database in databases
            for name in PROFILES
        ]
        self._weights = [SHARE_OF_CHANGES[share.collection.name] for share in self.shares]
        self._pace = changes_per_second
        self._stop = threading.Event()
        self.failure: Exception | None = None
        """What ended it before its time."""
        self._thread = threading.Thread(target=self._work, name="workload")

    def preload(self, documents: int) -> None:
        """Insert so many documents into each collection, or as many as it may have, before `start`."""
        for share in self.shares:
            number = min(documents, share.profile.most)
            self._attempts.bulk(share.collection, [share.insert() for _ in range(number)])

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Finish the round under way, which takes as long as MongoDB is away, and end."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_up.set()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.client.close()

    def _work(self) -> None:
        started = time.monotonic()
        try:
            while not self._stop.wait(_TICK_SECONDS):
                due = self._pace * (time.monotonic() - started) - self.changes
                if due > self._pace * _MOST_BEHIND_SECONDS:
                    started += due / self._pace - _MOST_BEHIND_SECONDS
                if due >= 1:
                    self._round(min(int(due), _MOST_AT_ONCE))
        except Exception as error:
            self.failure = error

    def _round(self, changes: int) -> None:
        [form] = self._rng.choices(list(_FORMS), list(_FORMS.values()))
        match form:
            case "bulk":
                done = self._bulk(changes)
            case "transaction":
                done = self._transaction()
            case _:
                done = self._find_and_modify()
        written = tally(done)
        self.counts.update({**written, form: 1})
        self.changes += written.total()

    def _share(self) -> Share:
        return self._rng.choices(self.shares, self._weights)[0]

    def _bulk(self, changes: int) -> list[Operation]:
        share = self._share()
        operations = [share.draw() for _ in range(changes)]
        self._attempts.bulk(share.collection, operations)
        return operations

    def _transaction(self) -> list[Operation]:
        shares = {share.collection.full_name: share for share in (self._share() for _ in range(3))}
        # Several changes of one document, too: all changes of a transaction have one cluster time.
        plan = [(share, [share.draw() for _ in range(_SMALL)] + share.life()) for share in shares.values()]
        self._attempts.transaction([(share.collection, operations) for share, operations in plan])
        return [operation for _, operations in plan for operation in operations]

    def _find_and_modify(self) -> list[Operation]:
        share = self._share()
        operations = [share.draw() for _ in range(_SMALL)]
        for operation in operations:
            if operation.kind.many:
                self._attempts.bulk(share.collection, [operation])
            else:
                self._attempts.find_and_modify(share.collection, operation)
        return operations
