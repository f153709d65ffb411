"""The in-memory parts as they misbehave: tokens are refused, answers are lost, sessions end, tables take nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

from tests.simulation.calls import ANSWERED
from tests.simulation.sessions import Sessions
from tests.simulation.trace import Trace
from warp.change import TableRef
from warp.destinations.base import OnDrop, Transaction
from warp.errors import Fatal
from warp.sources.base import StreamPoint
from warp.testing import (
    Hook,
    MemoryBroker,
    MemoryDatabase,
    MemoryDestination,
    MemoryLetterJobs,
    MemoryLogs,
    MemorySource,
    MemoryWakeups,
)
from warp.testing.stream import MemoryStream

_CHANGING_METADATA = (
    "begin_schema",
    "save_checkpoint",
    "add_tables",
    "repartition",
    "replace_table",
    "add_chunks",
    "close_snapshot",
    "block",
    "log_error",
)


class ForgetfulSource(MemorySource):
    """May refuse a resume token: then the stream begins at the token's time, and some changes come once more.

    Whoever answers a read, or says what time it is, may be behind; but for what `up_to_date` asks.
    """

    def __init__(
        self,
        rng: random.Random,
        trace: Trace,
        *,
        refused: float,
        behind: float,
        up_to_date: Callable[[], bool],
        **options: Any,
    ) -> None:
        super().__init__(behind=self._missed, **options)
        self._rng = rng
        self._trace = trace
        self._refused = refused
        self._rate_behind = behind
        self._up_to_date = up_to_date

    def open_stream(self, schema: str, after: StreamPoint | None) -> MemoryStream:
        stream = super().open_stream(schema, after)
        if after is not None and self._rng.random() < self._refused:
            self._trace.note("a resume token is refused")
            stream.point = StreamPoint(position=f"{after.ts:016x}", ts=after.ts)
        return stream

    def _missed(self) -> int:
        """How many changes whoever answers has yet to hear of."""
        if self._up_to_date() or self._rng.random() >= self._rate_behind:
            return 0
        missed = self._rng.choice((1, 3, 20))
        self._trace.note(f"the member that answers has not heard of {missed} changes")
        return missed


class FragileDestination(MemoryDestination):
    """Has tables that a person must mend, and sessions that can be ended from outside."""

    def __init__(self, database: MemoryDatabase, sessions: Sessions, *, hook: Hook) -> None:
        super().__init__(database, hook=hook)
        self.broken: set[TableRef] = set()
        self._sessions = sessions
        self._drop = self._unless_broken(super().drop)
        for call in ("evolve", "sweep"):
            setattr(self, call, self._unless_broken(getattr(self, call)))
        _lose_answers(self, "destination", ("evolve", "drop", "sweep"), hook)
        _lose_answers(self.metadata, "metadata", _CHANGING_METADATA, hook)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        try:
            with super().transaction() as transaction:
                self._sessions.opened(transaction)
                for call in ("upsert", "load", "append", "delete"):
                    setattr(transaction, call, self._unless_broken(getattr(transaction, call)))
                yield transaction
        finally:
            self._sessions.closed()

    def drop(self, ref: TableRef, ts: int, on_drop: OnDrop, *, soft: bool, cause: str) -> bool:
        known = self.database.known.get(ref)
        is_done = known is not None and known.floor >= ts
        drop = super().drop if is_done or on_drop is OnDrop.KEEP else self._drop
        return bool(drop(ref, ts, on_drop, soft=soft, cause=cause))

    def end_stalled(self, seconds: float) -> int:
        return super().end_stalled(seconds) + self._sessions.end_stalled(seconds)

    def _unless_broken(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def checked(ref: TableRef, *arguments: Any, **options: Any) -> Any:
            if ref in self.broken:
                raise Fatal("the table was altered by hand", remedy="alter it back")
            return write(ref, *arguments, **options)

        return checked


class Transport(NamedTuple):
    """What one process has of Redis."""

    logs: MemoryLogs
    wakeups: MemoryWakeups
    letters: MemoryLetterJobs


def transport(broker: MemoryBroker, hook: Hook) -> Transport:
    """Connections of another process."""
    made = Transport(
        MemoryLogs(broker, hook=hook), MemoryWakeups(broker, hook=hook), MemoryLetterJobs(broker, hook=hook)
    )
    _lose_answers(made.logs, "logs", ("remove", "request_resend", "take_resends"), hook)
    _lose_answers(made.wakeups, "wakeups", ("schedule", "revive", "requeue", "claim", "release", "take"), hook)
    _lose_answers(made.letters, "letters", ("settle", "fail", "finish", "take"), hook)
    return made


def _lose_answers(part: object, name: str, calls: Iterable[str], hook: Hook) -> None:
    """Have `hook` called also after each of these calls took effect: what it raises then, the caller gets instead."""
    for call in calls:
        setattr(part, call, _answered(getattr(part, call), f"{name}.{call}{ANSWERED}", hook))


def _answered(method: Callable[..., Any], call: str, hook: Hook) -> Callable[..., Any]:
    @wraps(method)
    def answered(*arguments: Any, **options: Any) -> Any:
        answer = method(*arguments, **options)
        hook(call)
        return answer

    return answered
