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

from warp.change import Change, Partition, TableRef
from warp.config import TableSettings
from warp.destinations.base import Destination, PartitionState, Transaction
from warp.errors import Fatal, Poison, Transient
from warp.evolution.infer import Seen
from warp.evolution.rules import Layout
from warp.metadata.base import DeadLetter, LetterState, StoredLetter
from warp.monitoring.logging import get_logger
from warp.retry import PASSING, backoff
from warp.sources.base import Source
from warp.traces import trace
from workers.report import Report
from workers.writer import Writer, decoded

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
    EXCLUDED = "not replayed"
    """Its table is excluded: the letter stays as it is."""


_INCLUDE = "include the table again, which reads it anew and settles the letter, or: cartridge-warp dlq discard"
_STATES = MappingProxyType({Outcome.APPLIED: LetterState.APPLIED, Outcome.SUPERSEDED: LetterState.SUPERSEDED})


class ReplayFailed(Exception):
    """A replay that failed: its message is a traceback without document values."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay; `error` where it failed or was refused, and `traceback` where it failed, both without
    document values."""

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
        mirrors: Callable[[TableRef], bool] = lambda _: True,
        report: Report,
        wait: Callable[[float], object],
    ) -> None:
        """`settings` of a table; `mirrors`: whether it is not excluded; `wait` so many seconds between attempts."""
        self._source = source
        self._destination = destination
        self._writer = Writer(source, destination, settings=settings, report=report)
        self._settings = settings
        self._mirrors = mirrors
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
        if not self._mirrors(ref):
            return Replayed(Outcome.EXCLUDED, Fatal(f"{ref} is excluded by the configuration", remedy=_INCLUDE))
        partition = self._partition(stored)
        try:
            self._reopen(number, stored.letter)
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

    def _reopen(self, number: int, letter: DeadLetter) -> None:
        """Where keys of this kind were refused, ask again: what was in the way may be gone."""
        with self._destination.transaction() as transaction:
            shape = transaction.shape(letter.ref)
        if shape is None or not shape.key_refused or letter.key.kind is shape.key_kind:
            return
        seen = Seen(key_kinds={letter.key.kind}, asks_again=True)
        rules = self._settings(letter.ref).rules
        decision = self._destination.evolve(letter.ref, seen, rules, cause=f"dead letter {number}")
        self._report.evolved(letter.ref, decision)

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
        keeps_history = self._settings(letter.ref).layout is Layout.HISTORY
        if letter.ts < state.floor and not (keeps_history and letter.position):
            return Outcome.SUPERSEDED
        if letter.payload:
            changes = decoded(self._source, transaction, letter.payload, self._settings(letter.ref).fields)
        else:  # of a first load, or of a table with filters: its document is looked up
            changes = [Change(letter.position, letter.ts, letter.operation, letter.key, None, 0)]
        written, poison = self._writer.write(transaction, letter.ref, changes, state, letter.correlation_id)
        for _, error in poison:
            raise error
        if written.superseded and not (keeps_history and letter.position):
            written.superseded -= 1  # this one
        transaction.count_kept(letter.ref, written.kept)
        self._report.wrote(letter.ref, written, 0)
        done = written.upserted or written.deleted or written.appended
        return Outcome.APPLIED if done else Outcome.SUPERSEDED
