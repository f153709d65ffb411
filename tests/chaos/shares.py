"""What is done to one collection: which of its keys exist, and which change comes next."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymongo.collection import Collection

from tests.chaos.operations import Document, Kind, Operation
from tests.support.documents import FIELDS, document, mixed_key, object_id, update, value

_MANY = 3
_DEAD = 5
"""For each document that there may be so many are remembered that are gone."""
_PAGES = 150
"""A growing document has so many pages at most, of some two kilobytes each."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How a collection is treated."""

    key: Callable[[random.Random], Any]
    most: int
    """Documents; then deletes take the place of inserts."""
    weights: dict[Kind, int]


_USUAL = {
    Kind.INSERT: 24,
    Kind.INSERT_AGAIN: 10,
    Kind.UPDATE: 36,
    Kind.UPDATE_MANY: 2,
    Kind.UPSERT: 5,
    Kind.REPLACE: 10,
    Kind.DELETE: 12,
    Kind.DELETE_MANY: 1,
}
_HOT = {Kind.INSERT: 10, Kind.INSERT_AGAIN: 15, Kind.UPDATE: 60, Kind.REPLACE: 10, Kind.DELETE: 10}
_GROWING = {Kind.INSERT: 2, Kind.INSERT_AGAIN: 2, Kind.GROW: 90, Kind.REPLACE: 2, Kind.DELETE: 2}

PROFILES = {
    "orders": Profile(object_id, 800, _USUAL),
    "products": Profile(lambda rng: f"sku-{rng.randrange(10**12)}", 800, _USUAL),
    "events": Profile(lambda rng: rng.randrange(10**12), 800, _USUAL),
    "Mixed.Keys": Profile(mixed_key, 400, _USUAL),
    "hot": Profile(lambda rng: f"hot-{rng.randrange(10**12)}", 8, _HOT),
    "growing": Profile(lambda rng: rng.randrange(10**12), 6, _GROWING),
}
"""By name of the collection."""
SHARE_OF_CHANGES = {"orders": 22, "products": 22, "events": 22, "Mixed.Keys": 10, "hot": 22, "growing": 2}
"""Hot documents are few, and get as many changes as a whole collection."""


@dataclass
class Share:
    """One collection of one database."""

    collection: Collection[Document]
    rng: random.Random
    alive: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    keys: dict[str, Any] = field(default_factory=dict)
    """By name of the document."""

    @property
    def profile(self) -> Profile:
        """How this collection is treated."""
        return PROFILES[self.collection.name]

    def draw(self) -> Operation:
        """The next change."""
        [kind] = self.rng.choices(list(self.profile.weights), list(self.profile.weights.values()))
        match self._possible(kind):
            case Kind.INSERT:
                return self.insert()
            case Kind.INSERT_AGAIN:
                return self._on(Kind.INSERT_AGAIN, self._revived(), self._body())
            case Kind.UPSERT:
                doc = self._revived() if self.dead and self.rng.random() < 0.5 else self.rng.choice(self.alive)
                return self._on(Kind.UPSERT, doc, self._upsert())
            case Kind.UPDATE_MANY:
                docs = self.rng.sample(self.alive, min(_MANY, len(self.alive)))
                return Operation(Kind.UPDATE_MANY, {doc: self.keys[doc] for doc in docs}, update(self.rng))
            case Kind.DELETE_MANY:
                docs = [self._ended() for _ in range(min(_MANY, len(self.alive)))]
                return Operation(Kind.DELETE_MANY, {doc: self.keys[doc] for doc in docs})
            case Kind.DELETE:
                return self._on(Kind.DELETE, self._ended())
            case Kind.REPLACE:
                return self._on(Kind.REPLACE, self.rng.choice(self.alive), self._body())
            case Kind.GROW:
                return self._on(Kind.GROW, self.rng.choice(self.alive), self._pages())
            case _:
                return self._on(Kind.UPDATE, self.rng.choice(self.alive), update(self.rng))

    def insert(self) -> Operation:
        """A new document."""
        doc = f"{self.collection.full_name}/{len(self.keys)}"
        self.keys[doc] = self.profile.key(self.rng)
        self.alive.append(doc)
        return self._on(Kind.INSERT, doc, self._body())

    def life(self) -> list[Operation]:
        """Several changes of one new document."""
        first = self.insert()
        [doc] = first.docs
        changes = [self._on(Kind.UPDATE, doc, update(self.rng)), self._on(Kind.DELETE, doc)]
        return [first, *changes, self._on(Kind.INSERT_AGAIN, doc, self._body())]

    def _possible(self, kind: Kind) -> Kind:
        """That kind, or one that takes its place where there is no document for it, or are too many."""
        if kind is Kind.INSERT and len(self.alive) >= self.profile.most:
            kind = Kind.DELETE
        if kind is Kind.INSERT and len(self.dead) >= self.profile.most * _DEAD:
            kind = Kind.INSERT_AGAIN
        if kind is Kind.INSERT_AGAIN and not self.dead:
            kind = Kind.DELETE
        return kind if self.alive or kind is Kind.INSERT_AGAIN else Kind.INSERT

    def _on(self, kind: Kind, doc: str, body: Any = None) -> Operation:
        return Operation(kind, {doc: self.keys[doc]}, body)

    def _body(self) -> Document:
        return document(self.rng, None)

    def _upsert(self) -> Document:
        # Of what every document has, an update by operators cannot bring it all.
        field = f"f{self.rng.randrange(FIELDS)}"
        return {
            "$set": {field: value(self.rng), "nested": {"x": value(self.rng)}},
            "$setOnInsert": {"list": [value(self.rng)]},
            "$inc": {"count": 1},
        }

    def _pages(self) -> Document:
        pages = [f"{self.rng.random()} " * 100 for _ in range(self.rng.randrange(1, 10))]
        return {"$push": {"pages": {"$each": pages, "$slice": -_PAGES}}, "$inc": {"count": 1}}

    def _ended(self) -> str:
        doc = self._take(self.alive)
        self.dead.append(doc)
        return doc

    def _revived(self) -> str:
        doc = self._take(self.dead)
        self.alive.append(doc)
        return doc

    def _take(self, docs: list[str]) -> str:
        """Remove a random one, in constant time."""
        place = self.rng.randrange(len(docs))
        docs[place], docs[-1] = docs[-1], docs[place]
        return docs.pop()


def tally(operations: list[Operation]) -> Counter[str]:
    """Documents changed, by kind."""
    counts: Counter[str] = Counter()
    for operation in operations:
        counts[operation.kind] += len(operation.docs)
    return counts
