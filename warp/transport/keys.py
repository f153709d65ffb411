"""The names of everything in Redis. A schema's name holds no dot (MongoDB forbids it), so that nothing is ambiguous."""

from __future__ import annotations

from warp.change import Partition, TableRef

LEASE_SECONDS = 5
"""How long a worker holds work without a sign of life. A killed worker costs about this long."""
QUEUED_SECONDS = 3600
"""How long a wake-up that waits in its queue counts as scheduled, if nobody looks whether it still waits."""
REPLAY_SECONDS = 60
"""A replay that takes a minute longer than this counts as one whose worker has died."""
QUEUE_PREFIX = "warp:"
IDLE_QUEUE = "warp:idle"
"""A queue that stays empty: a worker must listen to something before the first table exists."""


def log(partition: Partition) -> str:
    """A Redis Stream: the entries of a partition."""
    return f"{logs(partition.schema)}{partition.table}:{partition.number}"


def logs(schema: str) -> str:
    """What the names of a schema's logs begin with; a table and a number follow, `table:number`."""
    return f"warp:log:{schema}."


def backlog(schema: str) -> str:
    """A hash: what lies in each log, `table:number:changes` and `table:number:bytes`."""
    return f"warp:backlog:{schema}"


def resend(schema: str) -> str:
    """A set: the epochs of which entries are missing."""
    return f"warp:resend:{schema}"


def scheduled(name: str) -> str:
    """The lease of a wake-up."""
    return f"warp:scheduled:{name}"


def tailer_lease(schema: str) -> str:
    """Which tailer serves a schema; it only avoids wasted work."""
    return f"warp:tailer:{schema}"


def queue(kind: str, ref: TableRef) -> str:
    """The RQ queue of a table's changes, of its first load, or of replays of its dead letters."""
    return f"{QUEUE_PREFIX}{kind}:{ref}"


def replay_queues(schema: str) -> str:
    """What the names of the queues of a schema's replays begin with; a table follows."""
    return f"{QUEUE_PREFIX}replay:{schema}."
