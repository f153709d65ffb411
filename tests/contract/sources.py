"""The databases behind the sources under test, to be changed in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pymongo.client_session import ClientSession
from pymongo.database import Database

from warp.sources.base import ChangeStream, Source
from warp.sources.mongodb.source import MongoSource
from warp.testing import MemorySource

PIECE = 3
"""Documents in one piece of what the sources under test read."""


class SourceBench(Protocol):
    """A source, its schema, and what changes the documents behind it."""

    @property
    def schema(self) -> str:
        """The name of the schema."""

    @property
    def source(self) -> Source:
        """The source."""

    def insert(self, table: str, document: dict[str, Any]) -> None:
        """Insert a document."""

    def replace(self, table: str, document: dict[str, Any]) -> None:
        """Replace a document."""

    def update(self, table: str, identity: Any, **fields: Any) -> None:
        """Change fields of a document."""

    def delete(self, table: str, identity: Any) -> None:
        """Delete a document."""

    def drop(self, table: str) -> None:
        """Drop a table."""

    def rename(self, table: str, to: str) -> None:
        """Rename a table, over another one if there is one."""

    def transaction(self) -> Any:
        """A context manager: what is changed in it commits together."""

    def insert_elsewhere(self, table: str, document: dict[str, Any]) -> None:
        """Insert a document into another schema."""

    def cut(self, stream: ChangeStream) -> None:
        """Have the source end a stream."""


class MemoryBench:
    """The in-memory source."""

    schema = "shop"

    def __init__(self) -> None:
        self.source = self.memory = MemorySource(piece=PIECE)

    def insert(self, table: str, document: dict[str, Any]) -> None:
        self.memory.insert(self.schema, table, document)

    def replace(self, table: str, document: dict[str, Any]) -> None:
        self.memory.replace(self.schema, table, document)

    def update(self, table: str, identity: Any, **fields: Any) -> None:
        self.memory.update(self.schema, table, identity, **fields)

    def delete(self, table: str, identity: Any) -> None:
        self.memory.delete(self.schema, table, identity)

    def drop(self, table: str) -> None:
        self.memory.drop(self.schema, table)

    def rename(self, table: str, to: str) -> None:
        self.memory.rename(self.schema, table, to)

    def transaction(self) -> Any:
        return self.memory.transaction()

    def insert_elsewhere(self, table: str, document: dict[str, Any]) -> None:
        self.memory.insert("elsewhere", table, document)

    def cut(self, stream: ChangeStream) -> None:
        self.memory.cut_streams()


class MongoBench:
    """A MongoDB database."""

    def __init__(self, source: MongoSource, database: Database[dict[str, Any]]) -> None:
        self.source = source
        self.schema = database.name
        self._database = database
        self._session: ClientSession | None = None

    def insert(self, table: str, document: dict[str, Any]) -> None:
        self._database[table].insert_one(dict(document), session=self._session)

    def replace(self, table: str, document: dict[str, Any]) -> None:
        done = self._database[table].replace_one({"_id": document["_id"]}, document, session=self._session)
        assert done.matched_count == 1

    def update(self, table: str, identity: Any, **fields: Any) -> None:
        done = self._database[table].update_one({"_id": identity}, {"$set": fields}, session=self._session)
        assert done.matched_count == 1

    def delete(self, table: str, identity: Any) -> None:
        assert self._database[table].delete_one({"_id": identity}, session=self._session).deleted_count == 1

    def drop(self, table: str) -> None:
        self._database.drop_collection(table)

    def rename(self, table: str, to: str) -> None:
        self._database[table].rename(to, dropTarget=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._database.client.start_session() as self._session, self._session.start_transaction():
            yield
        self._session = None

    def insert_elsewhere(self, table: str, document: dict[str, Any]) -> None:
        other = self._database.client[f"{self.schema}_elsewhere"]
        other[table].insert_one(document)
        self._database.client.drop_database(other.name)

    def cut(self, stream: ChangeStream) -> None:
        idle = self._database.client.admin.aggregate(
            [
                {"$currentOp": {"idleCursors": True, "allUsers": True}},
                {"$match": {"type": "idleCursor", "ns": f"{self.schema}.$cmd.aggregate"}},
            ]
        )
        cursors = [operation["cursor"]["cursorId"] for operation in idle]
        assert cursors
        self._database.command({"killCursors": "$cmd.aggregate", "cursors": cursors})
