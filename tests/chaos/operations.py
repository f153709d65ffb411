"""One change to one document (or one to several), drawn without its stamp: that comes with each attempt.

Every state that an operation leaves behind carries `doc`, the document's name for as long as there is the collection,
and `stamp`, the number of the attempt. Numbers only grow, and an attempt whose outcome is unknown is followed by
another one with a higher number: so a document's stamp only grows, whatever became of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.collection import Collection

from tests.support.documents import Update

Document = dict[str, Any]
Request = InsertOne[Document] | UpdateOne | UpdateMany | ReplaceOne[Document] | DeleteOne | DeleteMany


class Kind(StrEnum):
    """What an operation does."""

    INSERT = "insert"
    INSERT_AGAIN = "insert again"
    """Of a key that was deleted."""
    UPDATE = "update"
    UPDATE_MANY = "update many"
    UPSERT = "upsert"
    """An update of a key that may not be there."""
    GROW = "grow"
    REPLACE = "replace"
    DELETE = "delete"
    DELETE_MANY = "delete many"

    @property
    def inserts(self) -> bool:
        """Whether it relies on the key not being there."""
        return self in (Kind.INSERT, Kind.INSERT_AGAIN)

    @property
    def deletes(self) -> bool:
        """Whether it ends documents."""
        return self in (Kind.DELETE, Kind.DELETE_MANY)

    @property
    def many(self) -> bool:
        """Whether it is of several documents, so that the driver does not retry it."""
        return self in (Kind.UPDATE_MANY, Kind.DELETE_MANY)


@dataclass(frozen=True, slots=True)
class Operation:
    """One change. `docs` names the documents; `body` is a document, an update, or nothing where it deletes."""

    kind: Kind
    docs: Mapping[str, Any]
    """The keys, by name of the document."""
    body: Update | None = None

    @property
    def command(self) -> str:
        """The command that a bulk write puts it into."""
        return "insert" if self.kind.inserts else "delete" if self.kind.deletes else "update"

    def request(self, stamp: int, *, again: bool = False) -> Request:
        """It as a part of a bulk write; `again`: after an attempt whose outcome is unknown."""
        match self.kind:
            case Kind.INSERT | Kind.INSERT_AGAIN if not again:
                return InsertOne(self._document(stamp))
            case Kind.INSERT | Kind.INSERT_AGAIN | Kind.REPLACE:
                return ReplaceOne(self._filter, self._document(stamp), upsert=self.kind.inserts)
            case Kind.UPDATE_MANY:
                return UpdateMany(self._filter, self._update(stamp))
            case Kind.DELETE_MANY:
                return DeleteMany(self._filter)
            case Kind.DELETE:
                return DeleteOne(self._filter)
            case _:
                return UpdateOne(self._filter, self._update(stamp), upsert=self.kind is Kind.UPSERT)

    def find_and_modify(self, collection: Collection[Document], stamp: int) -> None:
        """Carry it out as a findAndModify; what relies on the key not being there replaces what is."""
        # Without a projection the reply is the whole document, and there are values that Python has no type for.
        if self.kind is Kind.DELETE:
            collection.find_one_and_delete(self._filter, ["_id"])
        elif self.kind.inserts or self.kind is Kind.REPLACE:
            replacement = self._document(stamp)
            collection.find_one_and_replace(self._filter, replacement, ["_id"], upsert=self.kind.inserts)
        else:
            update = self._update(stamp)
            collection.find_one_and_update(self._filter, update, ["_id"], upsert=self.kind is Kind.UPSERT)

    @property
    def _filter(self) -> Document:
        keys = list(self.docs.values())
        return {"_id": {"$in": keys}} if self.kind.many else {"_id": keys[0]}

    def _document(self, stamp: int) -> Document:
        assert isinstance(self.body, dict)
        [(doc, key)] = self.docs.items()
        return {**self.body, "_id": key, "doc": doc, "stamp": stamp}

    def _update(self, stamp: int) -> Update:
        assert self.body is not None
        # An update of several documents meets only such as have their name.
        marks: Document = {"stamp": stamp} if self.kind.many else {"stamp": stamp, "doc": next(iter(self.docs))}
        if isinstance(self.body, list):
            return [*self.body, {"$set": marks}]
        return {**self.body, "$set": {**self.body.get("$set", {}), **marks}}
