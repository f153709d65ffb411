"""A background writer: a seeded random workload that changes documents while something else goes wrong.

Inserts, updates, replaces, deletes, inserts of keys that were deleted, and transactions over several collections.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from pymongo import DeleteOne, InsertOne, MongoClient, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

from tests.support.documents import document, mixed_key, object_id, update

_Operation = InsertOne[dict[str, Any]] | UpdateOne | ReplaceOne[dict[str, Any]] | DeleteOne

_KEYS: dict[str, Callable[[random.Random], Any]] = {
    "orders": object_id,
    "products": lambda rng: f"sku-{rng.randrange(10**12)}",
    "events": lambda rng: rng.randrange(10**12),
    "Mixed.Keys": mixed_key,
}
"""The collections, and how their keys are made."""
COLLECTIONS = tuple(_KEYS)
_KINDS = ("insert", "update", "replace", "delete", "insert again")
_WEIGHTS = (30, 35, 15, 12, 8)
_TRANSACTIONS = 0.15
_ROUND = 25
_PAUSE_SECONDS = 0.02


@dataclass
class _Share:
    """One collection of one database, and which of its keys exist."""

    collection: Collection[dict[str, Any]]
    alive: list[Any] = field(default_factory=list)
    dead: list[Any] = field(default_factory=list)


class Writer:
    """Changes documents in a thread of its own from `start` to `stop`, some thousand a second."""

    def __init__(
        self, uri: str, databases: Sequence[str], *, seed: int, collections: Sequence[str] = COLLECTIONS
    ) -> None:
        self.counts: Counter[str] = Counter()
        """What it did, by kind; a transaction counts as such, and its changes as themselves."""
        self._rng = random.Random(seed)
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri)
        self._shares = [_Share(self._client[database][name]) for database in databases for name in collections]
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="writer")

    @property
    def changes(self) -> int:
        """Documents changed since `start`."""
        return sum(self.counts[kind] for kind in _KINDS)

    def preload(self, documents: int) -> None:
        """Insert so many documents into each collection, before `start`."""
        for share in self._shares:
            keys = self._new_keys(share, documents)
            share.collection.insert_many([document(self._rng, key) for key in keys])
            share.alive += keys

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Finish the round under way, and end. Raises what ended it before."""
        self._end()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._end()

    def _end(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def _work(self) -> None:
        try:
            while not self._stop.wait(_PAUSE_SECONDS):
                try:
                    self._round()
                except AutoReconnect:
                    self._forget()
        except Exception as error:
            self._failure = error

    def _forget(self) -> None:
        """The primary went, and again within the driver's one retry: which keys exist is not known any more."""
        for share in self._shares:
            share.alive.clear()
            share.dead.clear()

    def _round(self) -> None:
        if self._rng.random() < _TRANSACTIONS:
            self._transaction()
            return
        share = self._rng.choice(self._shares)
        share.collection.bulk_write([self._operation(share) for _ in range(_ROUND)])

    def _transaction(self) -> None:
        shares = self._rng.sample(self._shares, min(3, len(self._shares)))
        # Several changes of one document, too: all changes of a transaction have one cluster time.
        plan = [(share, [self._operation(share) for _ in range(4)] + self._life_of_one(share)) for share in shares]

        def carry_out(session: ClientSession) -> None:
            for share, operations in plan:
                share.collection.bulk_write(operations, session=session)

        with self._client.start_session() as session:
            session.with_transaction(carry_out)
        self.counts["transaction"] += 1

    def _life_of_one(self, share: _Share) -> list[_Operation]:
        [key] = self._new_keys(share, 1)
        life: list[_Operation] = [
            InsertOne(document(self._rng, key)),
            UpdateOne({"_id": key}, update(self._rng)),
            DeleteOne({"_id": key}),
            InsertOne(document(self._rng, key)),
        ]
        share.alive.append(key)
        self.counts.update({"insert": 1, "update": 1, "delete": 1, "insert again": 1})
        return life

    def _operation(self, share: _Share) -> _Operation:
        [kind] = self._rng.choices(_KINDS, _WEIGHTS)
        if kind == "insert again" and not share.dead:
            kind = "insert"
        if kind in ("update", "replace", "delete") and not share.alive:
            kind = "insert"
        self.counts[kind] += 1
        match kind:
            case "insert":
                [key] = self._new_keys(share, 1)
                share.alive.append(key)
                return InsertOne(document(self._rng, key))
            case "insert again":
                key = self._take(share.dead)
                share.alive.append(key)
                return InsertOne(document(self._rng, key))
            case "delete":
                key = self._take(share.alive)
                share.dead.append(key)
                return DeleteOne({"_id": key})
            case "replace":
                key = self._rng.choice(share.alive)
                return ReplaceOne({"_id": key}, document(self._rng, key))
            case _:
                return UpdateOne({"_id": self._rng.choice(share.alive)}, update(self._rng))

    def _new_keys(self, share: _Share, number: int) -> list[Any]:
        return [_KEYS[share.collection.name](self._rng) for _ in range(number)]

    def _take(self, keys: list[Any]) -> Any:
        """Remove a random key, in constant time."""
        place = self._rng.randrange(len(keys))
        keys[place], keys[-1] = keys[-1], keys[place]
        return keys.pop()
