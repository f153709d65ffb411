"""What has been sent and is not yet applied: from it follow the checkpoint and the backlog. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from warp.change import BEGINNING, Partition
from warp.sources.base import StreamPoint


class Sent(NamedTuple):
    """One entry that was sent."""

    before: StreamPoint
    """The place in the whole stream just before the entry's first change."""
    last: str
    changes: int
    size: int


class Pending:
    """Entries in the order of their partitions. A partition's entries are applied in order, so its oldest one rules."""

    def __init__(self) -> None:
        self._sent: dict[Partition, deque[Sent]] = {}
        self._kept_back: dict[str, StreamPoint] = {}
        self.changes = 0
        self.size = 0

    def add(self, partition: Partition, sent: Sent) -> None:
        """Note an entry."""
        self._sent.setdefault(partition, deque()).append(sent)
        self.changes += sent.changes
        self.size += sent.size

    def settle(self, markers: Mapping[Partition, str]) -> None:
        """Forget what is applied, by the markers of the partitions."""
        for partition in list(self._sent):
            queue = self._sent[partition]
            marker = markers.get(partition, BEGINNING)
            while queue and queue[0].last <= marker:
                done = queue.popleft()
                self.changes -= done.changes
                self.size -= done.size
            if not queue:
                del self._sent[partition]

    def low_watermark(self, end: StreamPoint) -> StreamPoint:
        """Everything up to here is applied; `end` is where the stream has been read to."""
        waiting = chain((queue[0].before for queue in self._sent.values()), self._kept_back.values())
        return min(waiting, key=lambda point: point.position, default=end)

    def settled(self, table: str, end: StreamPoint) -> int:
        """All changes of a table from before this cluster time are applied."""
        waiting = [queue[0].before for partition, queue in self._sent.items() if partition.table == table]
        if table in self._kept_back:
            waiting.append(self._kept_back[table])
        return min((point.ts for point in waiting), default=end.ts)

    def keep_back(self, table: str, point: StreamPoint) -> None:
        """Changes of a table after that point are not sent; only a start-over will send them."""
        self._kept_back.setdefault(table, point)

    @property
    def kept_back(self) -> set[str]:
        """Tables whose changes are kept back."""
        return set(self._kept_back)

    def newest(self) -> Iterator[tuple[Partition, str]]:
        """Each partition that has something pending, with the `last` of its newest entry."""
        for partition, queue in self._sent.items():
            yield partition, queue[-1].last

    def holds(self, table: str) -> bool:
        """Whether a table has something pending, or kept back."""
        return table in self._kept_back or any(partition.table == table for partition in self._sent)

    def clear(self) -> None:
        """Forget everything: the tailer starts over."""
        self._sent.clear()
        self._kept_back.clear()
        self.changes = self.size = 0
