"""Whether what was sent and is not applied still lies in the logs."""

from __future__ import annotations

from scheduler.pending import Pending
from warp.change import Partition
from warp.metadata.base import Metadata
from warp.transport.base import Logs


def missing(schema: str, pending: Pending, logs: Logs, metadata: Metadata) -> list[Partition]:
    """The partitions of whose logs the newest entry that is pending is gone: Redis has lost its data."""
    newest = list(pending.newest())
    tails = logs.tails([partition for partition, _ in newest])
    lost = [partition for (partition, last), tail in zip(newest, tails, strict=True) if (tail or "") < last]
    if not lost:
        return []
    # Between the two looks a worker may have applied an entry and removed it.
    pending.settle(metadata.markers(schema))
    still = dict(pending.newest())
    return [partition for partition in lost if partition in still]
