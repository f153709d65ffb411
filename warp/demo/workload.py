"""What the demonstration's writer does to the collections: a seeded mix of inserts, updates, replaces and deletes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from bson import ObjectId
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.database import Database

from warp.demo.shop import Document, document, key

Operation = InsertOne[Document] | UpdateOne | ReplaceOne[Document] | DeleteOne

SAMPLE = 5_000
"""Documents of each collection that the workload of files knows and changes."""
_TOUCHED = "touched_by_demo"


class Workload(Protocol):
    """Chooses operations. Those that find no document change nothing."""

    def some(self, size: int) -> tuple[str, list[Operation]]:
        """A collection, and so many operations on it."""

    def together(self) -> Mapping[str, list[Operation]]:
        """Operations of one transaction, by collection."""


class ShopWorkload:
    """Customers order, products run out, events pour in."""

    def __init__(self, sizes: Mapping[str, int], seed: int) -> None:
        """`sizes` of the collections as they were filled."""
        self._rng = random.Random(seed)
        self._sizes = dict(sizes)
        self._names = list(sizes)

    def some(self, size: int) -> tuple[str, list[Operation]]:
        [name] = self._rng.choices(self._names, [_WEIGHTS[name] for name in self._names])
        return name, [self._operation(name) for _ in range(size)]

    def together(self) -> Mapping[str, list[Operation]]:
        """An order: the order itself, the stock of a product, the customer's number of orders, and an event."""
        product = key("products", self._number("products"))
        customer = key("customers", self._number("customers"))
        return {
            "orders": [self._insert("orders")],
            "products": [UpdateOne({"_id": product}, {"$inc": {"stock": -1}})],
            "customers": [UpdateOne({"_id": customer}, {"$inc": {"orders_placed": 1}})],
            "events": [self._insert("events")],
        }

    def _operation(self, name: str) -> Operation:
        kind = self._rng.random()
        if kind < 0.40:
            return self._insert(name)
        one = {"_id": key(name, self._number(name))}
        if kind < 0.85:
            return UpdateOne(one, self._update(name))
        if kind < 0.93:
            number = self._number(name)
            return ReplaceOne({"_id": key(name, number)}, document(name, number, self._rng, self._sizes))
        return DeleteOne(one)

    def _insert(self, name: str) -> InsertOne[Document]:
        number = self._sizes[name]
        self._sizes[name] += 1
        return InsertOne(document(name, number, self._rng, self._sizes))

    def _number(self, name: str) -> int:
        return int(self._rng.random() * self._sizes[name])

    def _update(self, name: str) -> Document:
        return self._rng.choice(_UPDATES[name])(self._rng)


class FilesWorkload:
    """Documents of any shape: a small field comes and goes, and copies come and go."""

    def __init__(self, database: Database[Document], collections: Sequence[str], seed: int) -> None:
        self._rng = random.Random(seed)
        self._known = {name: list(database[name].find().limit(SAMPLE)) for name in collections}
        self._copies: dict[str, list[ObjectId]] = {name: [] for name in collections}
        self._names = [name for name, known in self._known.items() if known]

    def some(self, size: int) -> tuple[str, list[Operation]]:
        name = self._rng.choice(self._names)
        return name, [self._operation(name) for _ in range(size)]

    def together(self) -> Mapping[str, list[Operation]]:
        names = self._rng.sample(self._names, min(3, len(self._names)))
        return {name: [self._operation(name) for _ in range(2)] for name in names}

    def _operation(self, name: str) -> Operation:
        kind, one = self._rng.random(), self._rng.choice(self._known[name])
        copies = self._copies[name]
        if kind < 0.45:
            return UpdateOne({"_id": one["_id"]}, {"$set": {_TOUCHED: self._rng.randrange(10**6)}})
        if kind < 0.70:
            return UpdateOne({"_id": one["_id"]}, {"$unset": {_TOUCHED: ""}})
        if kind < 0.90 or not copies:
            copies.append(ObjectId())
            return InsertOne({**one, "_id": copies[-1]})
        place = self._rng.randrange(len(copies))
        copies[place], copies[-1] = copies[-1], copies[place]
        return DeleteOne({"_id": copies.pop()})


_WEIGHTS = {"customers": 1, "products": 2, "orders": 3, "events": 4}
_UPDATES: dict[str, Sequence[Callable[[random.Random], Document]]] = {
    "customers": (
        lambda rng: {"$set": {"newsletter": rng.random() < 0.5, "addresses.0.city": rng.choice(("Genève", "Oslo"))}},
        lambda rng: {"$inc": {"orders_placed": 1}},
        lambda rng: {"$unset": {"phone": ""}},
    ),
    "products": (
        lambda rng: {"$inc": {"stock": rng.randrange(-5, 50)}, "$set": {"updated_at": datetime.now(UTC)}},
        lambda rng: {"$set": {"rating.average": round(rng.uniform(1, 5), 2)}, "$inc": {"rating.votes": 1}},
        lambda rng: {"$push": {"tags": {"$each": [f"week {rng.randrange(53)}"], "$slice": -6}}},
        lambda rng: {"$unset": {"thumbnail": ""}},
    ),
    "orders": (
        lambda rng: {
            "$set": {"state": rng.choice(("paid", "shipped", "delivered"))},
            "$push": {"history": {"$each": [{"at": datetime.now(UTC), "by": rng.randrange(30)}], "$slice": -5}},
        },
        lambda rng: {"$inc": {"lines.0.quantity": 1}},
        lambda rng: {"$set": {"coupon": {"code": f"AUTUMN{rng.randrange(100):02}", "percent": 15}}},
        lambda rng: {"$unset": {"remark": "", "coupon": ""}},
    ),
    "events": (
        lambda rng: {"$set": {"context.page": rng.randrange(50)}},
        lambda rng: {"$inc": {"milliseconds": rng.random()}},
    ),
}
