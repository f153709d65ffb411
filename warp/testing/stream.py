"""The change stream of the in-memory source: `warp.sources.base.ChangeStream` over its log."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple, Protocol

from warp.change import Key, Operation, RoutedChange, TableRef
from warp.errors import NotMirrored, StreamInvalid, StreamLost
from warp.sources.base import StreamBatch, StreamPoint, TableEvent
from warp.testing import documents as toy
from warp.testing.hook import Hook


class Logged(NamedTuple):
    """One change in the source's log, or one event that changes no document."""

    position: str
    ts: int
    ref: TableRef
    key: Key
    operation: Operation | None
    raw: bytes | None
    event: TableEvent | None = None


class Followed(Protocol):
    """What a stream needs of its source."""

    hook: Hook
    log: list[Logged]
    batch: int
    """The most changes of one batch."""
    lost: str
    """What follows a position before this one was thrown away."""
    cuts: int
    """How often all open streams were ended."""
    unsent: list[NotMirrored]
    """What the next batch says that it leaves out."""

    def end(self) -> StreamPoint:
        """After all that has been logged, and before all that will be."""


class MemoryStream:
    """See `warp.sources.base.ChangeStream` for the contract."""

    def __init__(self, source: Followed, schema: str, point: StreamPoint) -> None:
        self._source = source
        self._schema = schema
        self._cuts = source.cuts
        self.point = point
        self._require_history()

    def next_batch(self, max_wait: float) -> StreamBatch:
        source = self._source
        source.hook("stream.next_batch")
        if self._cuts != source.cuts:
            raise StreamInvalid("the change stream was cut")
        self._require_history()
        start = bisect_right(source.log, self.point.position, key=lambda logged: logged.position)
        found = source.log[start : start + source.batch]
        if start + len(found) < len(source.log):
            self.point = StreamPoint(position=found[-1].position, ts=found[-1].ts)
        else:
            self.point = source.end()
        passed_over, source.unsent[:] = list(source.unsent), []
        ours = [logged for logged in found if logged.ref.schema == self._schema]
        return StreamBatch(
            changes=[
                RoutedChange(logged.ref.table, toy.key_hash(logged.key), logged.position, logged.ts, logged.raw)
                for logged in ours
                if logged.raw is not None
            ],
            end=self.point,
            source_ts=source.end().ts,
            events=[logged.event for logged in ours if logged.event is not None],
            passed_over=passed_over,
        )

    def close(self) -> None:
        """Nothing is held."""

    def _require_history(self) -> None:
        if self.point.position < self._source.lost:
            raise StreamLost("the log was thrown away")
