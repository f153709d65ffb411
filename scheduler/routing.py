"""Grouping a batch of the stream into entries, one chain of them for each partition. No I/O; the tailer's hot path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scheduler.pending import Sent
from warp.change import BEGINNING, Partition, RoutedChange
from warp.sources.base import StreamPoint
from warp.transport.base import Entry

ENTRY_BYTES = 1024 * 1024
"""An entry is closed when it has grown to this; a single change may be larger."""


class _Lane:
    """A partition's chain: how far it has been sent, and the entry that is being filled."""

    __slots__ = ("before_position", "before_ts", "last", "partition", "prev", "raws", "size")

    def __init__(self, partition: Partition, position: str) -> None:
        self.partition = partition
        self.prev = self.last = position
        self.before_position = BEGINNING
        self.before_ts = 0
        self.raws: list[bytes] = []
        self.size = 0


class Router:
    """Knows how far each partition has been sent, and so what the next entry of each has to say."""

    def __init__(self, schema: str, epoch: str, batch_size: Callable[[str], int]) -> None:
        """`batch_size` gives the most changes of an entry, by table."""
        self._schema = schema
        self._epoch = epoch
        self._batch_size = batch_size
        self._lanes: dict[str, list[_Lane]] = {}

    def set_table(self, table: str, of: int, positions: Mapping[int, str]) -> None:
        """A table has `of` partitions, each of which continues after its position, or from the beginning."""
        self._lanes[table] = [
            _Lane(Partition(self._schema, table, number, of), positions.get(number, BEGINNING)) for number in range(of)
        ]

    def unknown_tables(self, changes: Sequence[RoutedChange]) -> set[str]:
        """Tables of a batch that `set_table` must name first."""
        return {change.table for change in changes} - self._lanes.keys()

    def partitions(self, table: str) -> int:
        """By how many partitions a table is routed; 0 for one that is unknown."""
        return len(self._lanes.get(table, ()))

    def route(
        self, changes: Sequence[RoutedChange], start: StreamPoint, correlation_id: str
    ) -> list[tuple[Entry, Sent]]:
        """The entries that say everything about these changes; `start` is the place just before the first of them."""
        done: list[tuple[Entry, Sent]] = []
        lanes = self._lanes
        filling: dict[int, _Lane] = {}
        before_position, before_ts = start.position, start.ts
        limits = {table: self._batch_size(table) for table in {change.table for change in changes}}
        for table, key_hash, position, ts, raw in changes:
            shares = lanes[table]
            lane = shares[key_hash % len(shares)]
            if position > lane.last:
                raws = lane.raws
                if not raws:
                    lane.before_position, lane.before_ts = before_position, before_ts
                    filling[id(lane)] = lane
                raws.append(raw)
                lane.size += len(raw)
                lane.last = position
                if lane.size >= ENTRY_BYTES or len(raws) >= limits[table]:
                    done.append(self._close(lane, correlation_id))
                    del filling[id(lane)]
            before_position, before_ts = position, ts
        done.extend(self._close(lane, correlation_id) for lane in filling.values())
        return done

    def _close(self, lane: _Lane, correlation_id: str) -> tuple[Entry, Sent]:
        entry = Entry(
            partition=lane.partition,
            prev=lane.prev,
            last=lane.last,
            changes=len(lane.raws),
            epoch=self._epoch,
            correlation_id=correlation_id,
            payload=b"".join(lane.raws),
        )
        sent = Sent(StreamPoint(position=lane.before_position, ts=lane.before_ts), lane.last, entry.changes, entry.size)
        lane.prev, lane.raws, lane.size = lane.last, [], 0
        return entry, sent
