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
from pymongo.errors import OperationFailure, PyMongoError

from warp.change import TS_COUNTER_BITS, RoutedChange, cluster_time
from warp.errors import NotMirrored, StreamInvalid
from warp.monitoring.logging import get_logger
from warp.sources.base import StreamBatch, StreamPoint, TableEvent
from warp.sources.mongodb.codec import key_hash
from warp.sources.mongodb.errors import Doing, translated
from warp.sources.mongodb.events import DOCUMENT_OPERATIONS, resume_token, route, token_of, ts_of
from warp.sources.mongodb.table_events import is_mirrored, table_events

_RAW = CodecOptions(document_class=RawBSONDocument)
_CURSOR_COLLECTION = "$cmd.aggregate"
"""The collection name that getMore takes for a cursor of a whole database."""

TOO_LARGE = 10334
"""BSONObjectTooLarge: an event has more than 16 MB, though its document has not."""
LARGEST_KEY = 4 * 1024 * 1024
"""A key is in its event three times, twice of them in the token."""
SMALL_BATCH = 100
"""Events that are read at once without their documents: each of these must be looked up."""
_WITHOUT_DOCUMENT = {"$project": {"fullDocument": 0, "updateDescription": 0}}
_WITHOUT_LARGEST_KEYS = {"$match": {"$expr": {"$lt": [{"$bsonSize": {"$ifNull": ["$documentKey", {}]}}, LARGEST_KEY]}}}
_KEY_TOO_LARGE = (
    f"a document's _id has more than {LARGEST_KEY // 2**20} MB: MongoDB cannot send a change of it, nor could "
    "PostgreSQL hold it: the change is passed over"
)
_SHORTER_KEY = (
    "give the document a shorter _id; it is found by "
    f'db.<collection>.find({{$expr: {{$gte: [{{$bsonSize: {{_id: "$_id"}}}}, {LARGEST_KEY}]}}}})'
)
_FORMS: tuple[list[dict[str, Any]], ...] = ([], [_WITHOUT_DOCUMENT], [_WITHOUT_LARGEST_KEYS, _WITHOUT_DOCUMENT])
"""What is appended to the stream's pipeline, the next where one of the events is too large with the one before."""


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
        self._log = get_logger(__name__).bind(schema=database)
        self._cursor_id = 0
        self._form = 0
        self._passed_over: list[NotMirrored] = []
        self._start: dict[str, Any] = {}
        if after is not None and by_time:
            self._start["startAtOperationTime"] = Timestamp(
                after.ts >> TS_COUNTER_BITS, after.ts & (1 << TS_COUNTER_BITS) - 1
            )
        elif after is not None:
            self._start["startAfter"] = token_of(after.position)
        with self._given_back_on_error(), translated(where, Doing.OPENING):
            token = self._open()
        if after is not None:
            self.point = after
        else:
            position = resume_token(bytes(token.raw))
            self.point = StreamPoint(position=position, ts=ts_of(position))
            self._start = {"startAfter": token_of(position)}

    def _open(self) -> RawBSONDocument:
        """Open a cursor whose events have the present form, or a smaller one; the token of where it stands."""
        while True:
            pipeline = [{"$changeStream": self._start}, *_FORMS[self._form]]
            try:
                reply = self._command({"aggregate": 1, "pipeline": pipeline, "cursor": self._limit})
                break
            except OperationFailure as error:
                self._make_smaller(error)
        cursor = reply["cursor"]
        self._cursor_id = cursor["id"]
        self._first: Any = cursor["firstBatch"]
        token: RawBSONDocument = cursor["postBatchResumeToken"]
        return token

    @property
    def _limit(self) -> dict[str, int]:
        return {"batchSize": SMALL_BATCH} if self._form else {}

    def _make_smaller(self, error: OperationFailure) -> None:
        """Have events in a smaller form, where one of them was larger than the server can send."""
        if error.code != TOO_LARGE or self._form == len(_FORMS) - 1:
            raise error
        self._form += 1
        if self._form == 1:
            self._log.warning("a change event is too large: its document is looked up instead")
        else:
            self._passed_over.append(NotMirrored(_KEY_TOO_LARGE, remedy=_SHORTER_KEY))

    def _reopen(self, form: int) -> None:
        """Go on at the same point with events of another form."""
        self._kill_cursor()
        self._form = form
        self._open()

    @contextmanager
    def _given_back_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def next_batch(self, max_wait: float) -> StreamBatch:
        with translated(self._where, Doing.STREAMING):
            batch = self._next(max_wait)
            if self._form:
                # What was too large is behind this point; if not, it is met again.
                self._reopen(0)
            return batch

    def _next(self, max_wait: float) -> StreamBatch:
        while not self._first:
            if not self._cursor_id:
                raise StreamInvalid("MongoDB ended the change stream (the database was dropped)")
            try:
                reply = self._get_more(max_wait)
            except OperationFailure as error:
                self._make_smaller(error)
                self._reopen(self._form)
                continue
            cursor = reply["cursor"]
            self._cursor_id = cursor["id"]
            return self._batch(cursor["nextBatch"], cursor.get("postBatchResumeToken"), reply.get("operationTime"))
        events, self._first = self._first, None
        return self._batch(events, events[-1]["_id"], None)

    def _get_more(self, max_wait: float) -> Mapping[str, Any]:
        return self._command(
            {
                "getMore": self._cursor_id,
                "collection": _CURSOR_COLLECTION,
                "maxTimeMS": max(1, int(max_wait * 1000)),
                **self._limit,
            }
        )

    def close(self) -> None:
        self._kill_cursor()
        self._session.end_session()

    def _kill_cursor(self) -> None:
        try:
            if self._cursor_id:
                self._database.command(
                    {"killCursors": _CURSOR_COLLECTION, "cursors": [self._cursor_id]}, session=self._session
                )
        except PyMongoError:
            pass  # the server drops an idle cursor by itself
        self._cursor_id = 0

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
        self._start = {"startAfter": token_of(self.point.position)}
        source_ts = self.point.ts if answered is None else cluster_time(answered.time, answered.inc)
        passed_over, self._passed_over = self._passed_over, []
        return StreamBatch(
            changes=changes, end=self.point, source_ts=source_ts, events=happened, passed_over=passed_over
        )
