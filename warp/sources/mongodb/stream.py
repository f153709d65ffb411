"""One database's change stream as batches of raw events.

The commands are sent by hand instead of through `Database.watch()`: a whole reply is taken at once, which costs a
third of the CPU (see docs/decisions.md), and says exactly when the server has nothing more at hand. A broken stream
is not resumed here: the tailer starts over from its checkpoint, which covers every case by one procedure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson import CodecOptions, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from warp.change import TS_COUNTER_BITS, RoutedChange, cluster_time
from warp.errors import StreamInvalid
from warp.sources.base import StreamBatch, StreamPoint, TableEvent
from warp.sources.mongodb.codec import key_hash
from warp.sources.mongodb.errors import Doing, translated
from warp.sources.mongodb.events import DOCUMENT_OPERATIONS, resume_token, route, token_of, ts_of
from warp.sources.mongodb.table_events import is_mirrored, table_events

_RAW = CodecOptions(document_class=RawBSONDocument)
_CURSOR_COLLECTION = "$cmd.aggregate"
"""The collection name that getMore takes for a cursor of a whole database."""


class MongoChangeStream:
    """A `warp.sources.base.ChangeStream` of one database."""

    def __init__(
        self,
        client: MongoClient[dict[str, Any]],
        where: str,
        database: str,
        after: StreamPoint | None,
        *,
        by_time: bool,
    ) -> None:
        """`by_time`: open at the cluster time of `after`, not at its token."""
        self._where = where
        self._database = client[database]
        self._session: ClientSession = client.start_session(causal_consistency=False)
        options: dict[str, Any] = {}
        if after is not None and by_time:
            options["startAtOperationTime"] = Timestamp(
                after.ts >> TS_COUNTER_BITS, after.ts & (1 << TS_COUNTER_BITS) - 1
            )
        elif after is not None:
            options["startAfter"] = token_of(after.position)
        self._cursor_id = 0
        with self._given_back_on_error(), translated(where, Doing.OPENING):
            reply = self._command({"aggregate": 1, "pipeline": [{"$changeStream": options}], "cursor": {}})
        cursor = reply["cursor"]
        self._cursor_id = cursor["id"]
        self._first: Any = cursor["firstBatch"]
        token = cursor.get("postBatchResumeToken")
        if after is not None:
            self.point = after
        else:
            position = resume_token(bytes(token.raw))
            self.point = StreamPoint(position=position, ts=ts_of(position))

    @contextmanager
    def _given_back_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def next_batch(self, max_wait: float) -> StreamBatch:
        if self._first:
            events, self._first = self._first, None
            return self._batch(events, events[-1]["_id"], None)
        if not self._cursor_id:
            raise StreamInvalid("MongoDB ended the change stream (the database was dropped)")
        with translated(self._where, Doing.STREAMING):
            reply = self._command(
                {
                    "getMore": self._cursor_id,
                    "collection": _CURSOR_COLLECTION,
                    "maxTimeMS": max(1, int(max_wait * 1000)),
                }
            )
        cursor = reply["cursor"]
        self._cursor_id = cursor["id"]
        return self._batch(cursor["nextBatch"], cursor.get("postBatchResumeToken"), reply.get("operationTime"))

    def close(self) -> None:
        try:
            if self._cursor_id:
                self._database.command(
                    {"killCursors": _CURSOR_COLLECTION, "cursors": [self._cursor_id]}, session=self._session
                )
        except PyMongoError:
            pass  # the server drops an idle cursor by itself
        self._cursor_id = 0
        self._session.end_session()

    def _command(self, command: dict[str, Any]) -> Mapping[str, Any]:
        return self._database.command(command, session=self._session, codec_options=_RAW)

    def _batch(self, events: Any, token: RawBSONDocument | None, answered: Timestamp | None) -> StreamBatch:
        changes: list[RoutedChange] = []
        happened: list[TableEvent] = []
        for document in events:
            raw = document.raw
            if raw.__class__ is not bytes:  # large replies come as views of one buffer
                raw = bytes(raw)
            event = route(raw)
            if event.operation not in DOCUMENT_OPERATIONS:
                happened.extend(table_events(raw))
            elif is_mirrored(event.collection):
                changes.append(
                    RoutedChange(event.collection, key_hash(event.document_key), event.position, event.ts, raw)
                )
        if token is not None:
            position = resume_token(bytes(token.raw))
            self.point = StreamPoint(position=position, ts=ts_of(position))
        elif changes:
            self.point = StreamPoint(position=changes[-1].position, ts=changes[-1].ts)
        source_ts = self.point.ts if answered is None else cluster_time(answered.time, answered.inc)
        return StreamBatch(changes=changes, end=self.point, source_ts=source_ts, events=happened)
