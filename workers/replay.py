"""Replaying a dead letter: its change once more through the one write path; what came of it commits with it.

A replay can be asked for at any time. The guard keeps it from overwriting a newer row, and a letter whose document was
written or deleted since is superseded, so that nothing deleted comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from types import MappingProxyType

from warp.change import Change, Operation, Partition, TableRef
from warp.config import TableSettings
from warp.destinations.base import Destination, PartitionState, Transaction
from warp.errors import Fatal, Poison, Transient
from warp.metadata.base import LetterState, StoredLetter
from warp.monitoring.logging import get_logger
from warp.retry import PASSING, backoff
from warp.sources.base import Source
from warp.traces import trace
from workers.report import Report
from workers.sequence import coalesce
from workers.writer import Writer

ATTEMPTS = 8
"""Attempts while the partition is busy or a server is away, about fifteen seconds in all."""


class Outcome(StrEnum):
    """What came of a replay."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"
    """Its document has a newer state, or is gone."""
    FAILED = "failed again"
    SETTLED = "not open"
    """Somebody was quicker, or there is no such letter."""


_STATES = MappingProxyType({Outcome.APPLIED: LetterState.APPLIED, Outcome.SUPERSEDED: LetterState.SUPERSEDED})


class ReplayFailed(Exception):
    """A replay that failed: its message is a traceback without document values."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay; `error` and `traceback` where it failed, both without document values."""

    outcome: Outcome
    error: Poison | Fatal | None = None
    traceback: str = ""


class Replayer:
    """Replays dead letters. For one thread."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        *,
        settings: Callable[[TableRef], TableSettings],
        report: Report,
        wait: Callable[[float], object],
    ) -> None:
        """`settings` of a table; `wait` so many seconds between attempts."""
        self._source = source
        self._destination = destination
        self._writer = Writer(source, destination, settings=settings, report=report)
        self._settings = settings
        self._report = report
        self._wait = wait
        self._log = get_logger(__name__)

    def replay(self, number: int) -> Replayed:
        """Replay a dead letter. Raises Transient or ServerUnreachable, with nothing changed, where it cannot be now."""
        for seconds in islice(backoff(), ATTEMPTS - 1):
            try:
                return self._attempt(number)
            except PASSING:
                self._wait(seconds)
        return self._attempt(number)

    def _attempt(self, number: int) -> Replayed:
        stored = self._destination.metadata.letter(number)
        if stored is None or stored.state is not LetterState.OPEN:
            return Replayed(Outcome.SETTLED)
        ref = stored.letter.ref
        partition = self._partition(stored)
        try:
            outcome = self._writer.transact(ref, f"dead letter {number}", partial(self._transact, number, partition))
            replayed = Replayed(outcome)
        except (Poison, Fatal) as error:
            replayed = Replayed(Outcome.FAILED, error, trace(error))
            with self._destination.transaction() as transaction:
                if transaction.lock_letter(number) is None:
                    return Replayed(Outcome.SETTLED)
                transaction.fail_letter(number, error, replayed.traceback)
        self._log.info("dead letter replayed", letter=number, table=str(ref), outcome=replayed.outcome.value)
        return replayed

    def _partition(self, stored: StoredLetter) -> Partition:
        ref = stored.letter.ref
        of = self._destination.metadata.partitions(ref.schema).get(ref.table, self._settings(ref).partitions)
        return Partition(*ref, self._source.key_hash(stored.letter.key) % of, of)

    def _transact(self, number: int, partition: Partition, transaction: Transaction) -> Outcome:
        """The marker's lock first, as in an apply step: whoever has it is alone with the partition's documents."""
        state = transaction.lock_partition(partition)
        if state is None or state.partitions != partition.of:
            raise Transient(f"{partition} is being worked at")
        stored = transaction.lock_letter(number)
        if stored is None:
            return Outcome.SETTLED
        outcome = self._write(transaction, stored, state)
        transaction.settle_letter(number, _STATES[outcome])
        return outcome

    def _write(self, transaction: Transaction, stored: StoredLetter, state: PartitionState) -> Outcome:
        letter = stored.letter
        if letter.ts < state.floor:
            return Outcome.SUPERSEDED
        if letter.payload:
            changes = self._source.decode(letter.payload, self._settings(letter.ref).fields)
        else:  # of a first load, or of a table with filters: its document is looked up
            operation = Operation.DELETE if letter.operation is Operation.DELETE else Operation.UPDATE
            changes = [Change(letter.position, letter.ts, operation, letter.key, None, 0)]
        final = coalesce(changes)
        written, poison = self._writer.write(transaction, letter.ref, final, state, letter.correlation_id)
        for _, error in poison:
            raise error
        if written.superseded:
            written.superseded -= 1  # this one
        self._report.wrote(letter.ref, written, 0)
        return Outcome.APPLIED if written.upserted or written.deleted else Outcome.SUPERSEDED
