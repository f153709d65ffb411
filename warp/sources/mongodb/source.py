"""A MongoDB replica set as a source: `warp.sources.base.Source` over one client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bson import Timestamp
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import PyMongoError

from warp.change import Change, Key, cluster_seconds, cluster_time
from warp.config.secrets import redact
from warp.errors import Fatal, NotMirrored, StreamInvalid
from warp.layouts import Form
from warp.sources.base import (
    AsOf,
    ChangeStream,
    Chunk,
    Document,
    Inspected,
    Piece,
    SourceTable,
    StoredRow,
    StreamPoint,
)
from warp.sources.mongodb import events, reads
from warp.sources.mongodb.codec import hash_of, key_of
from warp.sources.mongodb.decoding import OPTIONS
from warp.sources.mongodb.errors import translated
from warp.sources.mongodb.odd_names import not_utf8, shown
from warp.sources.mongodb.parse import same_as_stored
from warp.sources.mongodb.stream import MongoChangeStream
from warp.sources.mongodb.table_events import is_mirrored, is_users
from warp.sources.mongodb.tree import BSON

SELECTION_TIMEOUT_MS = 10_000
SOCKET_TIMEOUT_MS = 60_000
"""A reply that takes longer than this is taken for a dead connection."""


def _one_mongos(servers: Sequence[Any]) -> Sequence[Any]:
    """Of several mongos keep to one: a cursor lives on the mongos that opened it."""
    routers = [server for server in servers if server.server_type_name == "Mongos"]
    return [min(routers, key=lambda server: server.address)] if routers else servers


def open_source(connection_string: str) -> MongoSource:
    """Connect lazily: the first call finds out whether the server is there.

    Raises Fatal for a connection string that the driver does not take.
    """
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            connection_string,
            appname="cartridge-warp",
            serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS,
            socketTimeoutMS=SOCKET_TIMEOUT_MS,
            server_selector=_one_mongos,
            readPreference="primary",
        )
    except (DriverConfigurationError, PyMongoError, ValueError, OSError) as error:
        raise Fatal(f"MongoDB connection string: {redact(str(error))}") from None
    return MongoSource(client, redact(connection_string))


class MongoSource:
    """One client; see `warp.sources.base.Source` for the contract of each method."""

    def __init__(self, client: MongoClient[dict[str, Any]], where: str) -> None:
        self._client = client
        self._where = where

    def now(self) -> int:
        with translated(self._where):
            reply = self._client.admin.command("hello")
        if "setName" not in reply and reply.get("msg") != "isdbgrid":
            raise Fatal(
                f"MongoDB at {self._where} is not a replica set: it has no change streams",
                remedy="start mongod with --replSet and run rs.initiate()",
            )
        return _packed(reply["operationTime"])

    def tables(self, schema: str) -> list[SourceTable]:
        with translated(self._where):
            database = self._database(schema)
            found = []
            for name in filter(is_mirrored, _collections(database)):
                stats = next(database[name].aggregate([{"$collStats": {"storageStats": {}}}]))["storageStats"]
                found.append(SourceTable(name=name, documents=stats.get("count", 0), size_bytes=stats.get("size", 0)))
        return sorted(found, key=lambda table: table.name)

    def unmirrored(self, schema: str) -> dict[str, NotMirrored]:
        with translated(self._where):
            names = filter(is_users, _collections(self._database(schema)))
            return {shown(name): not_utf8(name) for name in names if not is_mirrored(name)}

    def _database(self, schema: str) -> Database[dict[str, Any]]:
        """To be read with names that are not UTF-8, of collections and indexes."""
        return self._client.get_database(schema, codec_options=OPTIONS)

    def open_stream(self, schema: str, after: StreamPoint | None) -> ChangeStream:
        try:
            return MongoChangeStream(self._client, self._where, schema, after, by_time=False)
        except StreamInvalid:
            if after is None:
                raise
        return MongoChangeStream(self._client, self._where, schema, after, by_time=True)

    def headroom_seconds(self, ts: int) -> float | None:
        with translated(self._where):
            try:
                oplog = self._client["local"]["oplog.rs"]
                oldest = next(iter(oplog.find({}, {"ts": 1}).sort("$natural", 1).limit(1)), None)
                size = self._client["local"].command("collStats", "oplog.rs")
            except PyMongoError:
                return None
        if oldest is None:
            return None
        first = oldest["ts"].time
        written = max(1, int(size["size"]))
        span = max(1.0, time.time() - first)
        room = max(0.0, (int(size["maxSize"]) - written) / (written / span))
        return float(cluster_seconds(ts) - first + room)

    def decode(self, payload: bytes, fields: Form | None = None) -> list[Change]:
        return events.decode_events(payload, fields)

    def extract(self, payload: bytes, position: str) -> bytes:
        return events.extract(payload, position)

    def describe(self, payload: bytes) -> str:
        return events.describe(payload)

    def key_hash(self, key: Key) -> int:
        return hash_of(key)

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
        with translated(self._where), reads.snapshot(self._client, schema, after) as taken:
            yield from reads.as_of(taken, table, keys, fields, decoding)

    def split(self, schema: str, table: str, documents: int) -> Iterator[Chunk]:
        with translated(self._where):
            yield from reads.split(self._client[schema][table], documents)

    def read(self, schema: str, table: str, chunk: Chunk, after: int, fields: Form | None = None) -> Iterator[Piece]:
        with translated(self._where), reads.snapshot(self._client, schema, after) as taken:
            yield from reads.pieces(taken, table, chunk, fields)

    def inspect(
        self, schema: str, table: str, what: Chunk | int, fields: Form | None = None
    ) -> Iterator[list[Inspected]]:
        if isinstance(what, int):
            with translated(self._where):
                yield from reads.sample(self._client[schema][table], what, fields)
            return
        with translated(self._where), reads.snapshot(self._client, schema, self.now()) as taken:
            yield from reads.inspected(taken, table, what, fields)

    def scan(self, schema: str, table: str, chunk: Chunk) -> Iterator[list[tuple[Key, Document]]]:
        with translated(self._where), reads.snapshot(self._client, schema, self.now()) as taken:
            for documents in reads.documents(taken, table, chunk):
                yield [(key_of(document["_id"]), document) for document in documents]

    def fetch(self, schema: str, table: str, keys: Sequence[Key]) -> dict[Key, Document]:
        with translated(self._where), reads.snapshot(self._client, schema, self.now()) as taken:
            return {key_of(document["_id"]): document for document in reads.by_key(taken, table, keys)}

    def differences(self, document: Document, key: Key, row: StoredRow, fields: Form | None = None) -> tuple[str, ...]:
        assert isinstance(document, dict)
        if fields is not None:
            document = fields.apply(document, BSON)
        names = [
            name
            for name, value in document.items()
            if name != "_id" and not (name in row and same_as_stored(value, row[name]))
        ]
        return (*names, *(name for name in row if name not in document))

    def close(self) -> None:
        self._client.close()


def _collections(database: Database[dict[str, Any]]) -> list[str]:
    # `list_collections` would not decode its first batch by the database's options.
    command = {"listCollections": 1, "filter": {"type": "collection"}, "nameOnly": True, "cursor": {}}
    return [info["name"] for info in database.cursor_command(command, codec_options=OPTIONS)]


def _packed(stamp: Timestamp) -> int:
    return cluster_time(stamp.time, stamp.inc)
