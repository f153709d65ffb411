"""What the name of a call says: to which server it goes, and what can go wrong with it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

ANSWERED = ".answered"
"""What the name of a call that took effect ends with, for the hook: only its answer can be lost."""
_SERVERS = {
    "source": "MongoDB",
    "stream": "MongoDB",
    "destination": "PostgreSQL",
    "transaction": "PostgreSQL",
    "metadata": "PostgreSQL",
    "logs": "Redis",
    "wakeups": "Redis",
    "letters": "Redis",
    "stop": "none",
}
_TAKE_MEMORY = frozenset(
    {"logs.append", "wakeups.schedule", "wakeups.revive", "wakeups.requeue", "wakeups.take", "letters.fail"}
)
_CHANGE_ROWS = frozenset({"destination.committed", "destination.drop.answered", "destination.sweep.answered"})
_CHANGE_CHECKPOINT = frozenset({"metadata.begin_schema.answered", "metadata.save_checkpoint.answered"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a part, or an answer to one."""

    name: str
    server: str
    code: int
    """A number that tells it from others."""
    is_wait: bool
    """It goes to nobody: an actor has done a round, or waits."""
    is_answer: bool
    in_transaction: bool
    takes_memory: bool
    """Redis refuses it when it is full: also to hand out a job."""
    changed_rows: bool
    changed_checkpoint: bool


@cache
def call_of(name: str) -> Call:
    """What a name says."""
    return Call(
        name,
        _SERVERS[name.partition(".")[0]],
        zlib.crc32(name.encode()),
        is_wait=name == "stop.wait",
        is_answer=name.endswith(ANSWERED),
        in_transaction=name.startswith("transaction.") or name == "destination.commit",
        takes_memory=name in _TAKE_MEMORY,
        changed_rows=name in _CHANGE_ROWS,
        changed_checkpoint=name in _CHANGE_CHECKPOINT,
    )
