"""Replays over in-memory parts: they never overwrite a newer row, and bring nothing back that was deleted."""

from __future__ import annotations

import traceback
from dataclasses import replace

import pytest

from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import key
from warp.change import BEGINNING, Partition
from warp.destinations.base import OnDrop
from warp.errors import Fatal, ServerUnreachable, Transient
from warp.metadata.base import LetterState, StoredLetter
from workers import context
from workers.apply import Outcome as Step
from workers.jobs import replay_v1
from workers.replay import ATTEMPTS, Outcome, Replayer, ReplayFailed
from workers.report import Report

PARTITION = Partition(*REF, 0, 1)


class Poisoned:
    """A mirror that streams, in which the document 2 can never be stored until `cure`."""

    def __init__(self, **options: bool) -> None:
        self.mirror = Mirror(**options)
        self.tailer = self.mirror.tailer()
        self.mirror.catch_up(self.tailer)
        self.mirror.database.poison.add(key(2))
        self.mirror.insert(1, 2, 3, v=1)
        self.catch_up()
        (self.stored,) = self.mirror.database.letters.values()

    def catch_up(self) -> None:
        self.tailer.tick()
        while self.mirror.applier().step(PARTITION) is Step.APPLIED:
            pass

    def cure(self) -> None:
        self.mirror.database.poison.clear()

    def replay(self) -> Outcome:
        return replayer(self.mirror).replay(self.stored.number).outcome

    def letter(self) -> StoredLetter:
        stored = self.mirror.metadata.letter(self.stored.number)
        assert stored is not None
        return stored


def replayer(mirror: Mirror) -> Replayer:
    return Replayer(
        mirror.source,
        mirror.destination,
        settings=mirror.settings,
        mirrors=lambda ref: ref.table not in mirror.excluded,
        report=Report(),
        wait=mirror.advance,
    )


@pytest.fixture(params=[False, True], ids=["hard", "soft"])
def poisoned(request: pytest.FixtureRequest) -> Poisoned:
    """Where deletes are hard, and where they are soft."""
    return Poisoned(soft=request.param)


def test_a_replay_applies_the_change_and_settles_the_letter(poisoned: Poisoned) -> None:
    poisoned.cure()
    assert poisoned.replay() is Outcome.APPLIED
    letter = poisoned.letter()
    assert (letter.state, letter.attempts) == (LetterState.APPLIED, 2)
    assert letter.resolved_at is not None
    assert poisoned.mirror.identical()
    assert poisoned.mirror.rows()["2"].ts == letter.letter.ts
    assert poisoned.mirror.metadata.tables(SCHEMA)[0].open_letters == 0


def test_a_replay_that_fails_again_leaves_the_letter_open_with_the_new_error(poisoned: Poisoned) -> None:
    replayed = replayer(poisoned.mirror).replay(poisoned.stored.number)
    assert (replayed.outcome, str(replayed.error)) == (Outcome.FAILED, "this document can never be stored")
    letter = poisoned.letter()
    assert (letter.state, letter.attempts, letter.resolved_at) == (LetterState.OPEN, 2, None)
    assert letter.letter.error == "this document can never be stored"
    assert "workers/replay.py:" in letter.letter.traceback
    assert letter.letter.traceback == replayed.traceback


def test_what_a_replay_that_fails_has_done_is_undone(poisoned: Poisoned) -> None:
    poisoned.cure()
    poisoned.mirror.fail["transaction.settle_letter"] = [Fatal("never", remedy="mend it")]
    replayed = replayer(poisoned.mirror).replay(poisoned.stored.number)
    assert replayed.outcome is Outcome.FAILED
    assert "2" not in poisoned.mirror.rows()
    assert (poisoned.letter().letter.error_class, poisoned.letter().state) == ("Fatal", LetterState.OPEN)


def test_a_letter_is_replayed_once(poisoned: Poisoned) -> None:
    poisoned.cure()
    poisoned.replay()
    row = poisoned.mirror.rows()["2"]
    assert poisoned.replay() is Outcome.SETTLED
    assert (poisoned.mirror.rows()["2"], poisoned.letter().attempts) == (row, 2)
    assert replayer(poisoned.mirror).replay(99).outcome is Outcome.SETTLED


@pytest.mark.parametrize("error", [Transient("not now"), ServerUnreachable("a", "b", "c")])
def test_what_can_pass_is_tried_again(poisoned: Poisoned, error: Exception) -> None:
    poisoned.cure()
    poisoned.mirror.fail["transaction.upsert"] = [error] * (ATTEMPTS - 1)
    assert poisoned.replay() is Outcome.APPLIED
    assert poisoned.letter().attempts == 2


def test_what_does_not_pass_is_raised_in_the_end_and_changes_nothing(poisoned: Poisoned) -> None:
    before = poisoned.letter()
    poisoned.mirror.fail["transaction.upsert"] = [Transient("not now")] * ATTEMPTS
    with pytest.raises(Transient):
        poisoned.replay()
    assert poisoned.letter() == before


def test_a_partition_that_an_apply_step_has_is_waited_for(poisoned: Poisoned) -> None:
    poisoned.cure()
    with poisoned.mirror.destination.transaction() as transaction:
        assert transaction.lock_partition(PARTITION)
        with pytest.raises(Transient, match=r"shop\.orders/0 is being worked at"):
            poisoned.replay()
    assert poisoned.replay() is Outcome.APPLIED


def test_a_later_success_supersedes(poisoned: Poisoned) -> None:
    poisoned.cure()
    poisoned.mirror.source.update(SCHEMA, TABLE, 2, v=2)
    poisoned.catch_up()
    assert poisoned.letter().state is LetterState.SUPERSEDED
    assert poisoned.letter().resolved_at is not None
    assert poisoned.replay() is Outcome.SETTLED
    assert poisoned.mirror.rows()["2"].fields == {"v": 2}


def test_a_later_delete_supersedes_though_there_is_no_row_to_delete(poisoned: Poisoned) -> None:
    poisoned.mirror.source.delete(SCHEMA, TABLE, 2)
    poisoned.catch_up()
    poisoned.cure()
    assert poisoned.letter().state is LetterState.SUPERSEDED
    assert poisoned.replay() is Outcome.SETTLED
    assert poisoned.mirror.identical()


def test_of_another_document_nothing_is_superseded(poisoned: Poisoned) -> None:
    for number in (1, 3):
        poisoned.mirror.source.update(SCHEMA, TABLE, number, v=2)
    poisoned.mirror.source.delete(SCHEMA, TABLE, 1)
    poisoned.catch_up()
    assert poisoned.letter().state is LetterState.OPEN


def test_a_change_that_is_parked_supersedes_nothing(poisoned: Poisoned) -> None:
    poisoned.mirror.source.update(SCHEMA, TABLE, 2, v=2)
    poisoned.catch_up()
    assert [stored.state for stored in poisoned.mirror.database.letters.values()] == [LetterState.OPEN] * 2
    poisoned.cure()
    first, second = poisoned.mirror.database.letters.values()
    replay = replayer(poisoned.mirror).replay
    assert replay(second.number).outcome is Outcome.APPLIED
    assert replay(first.number).outcome is Outcome.SETTLED
    assert poisoned.mirror.identical()


def test_an_older_letter_may_be_replayed_first(poisoned: Poisoned) -> None:
    poisoned.mirror.source.replace(SCHEMA, TABLE, {"_id": 2, "v": 2})
    poisoned.catch_up()
    poisoned.cure()
    replay = replayer(poisoned.mirror).replay
    for stored in list(poisoned.mirror.database.letters.values()):
        assert replay(stored.number).outcome is Outcome.APPLIED
    assert poisoned.mirror.identical()


def test_a_change_that_is_still_to_come_finds_the_row_and_changes_it(poisoned: Poisoned) -> None:
    poisoned.cure()
    poisoned.mirror.source.replace(SCHEMA, TABLE, {"_id": 2, "v": 2})
    assert poisoned.replay() is Outcome.APPLIED
    assert poisoned.mirror.rows()["2"].fields == {"v": 1}
    poisoned.catch_up()
    assert poisoned.mirror.identical()


def test_a_delete_that_is_still_to_come_deletes_what_was_replayed(poisoned: Poisoned) -> None:
    poisoned.cure()
    poisoned.mirror.source.delete(SCHEMA, TABLE, 2)
    assert poisoned.replay() is Outcome.APPLIED
    poisoned.catch_up()
    assert poisoned.mirror.identical()


def test_a_newer_row_stands(poisoned: Poisoned) -> None:
    """Also where nothing superseded the letter: the guard alone."""
    poisoned.cure()
    poisoned.mirror.source.replace(SCHEMA, TABLE, {"_id": 2, "v": 2})
    poisoned.catch_up()
    poisoned.mirror.database.change_letter(poisoned.stored.number, state=LetterState.OPEN)
    assert poisoned.replay() is Outcome.SUPERSEDED
    assert poisoned.mirror.identical()


def _parked_update(mirror: Mirror) -> StoredLetter:
    """The letter of an update, which carries no document."""
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.insert(2, v=1)
    mirror.catch_up(tailer)
    mirror.database.poison.add(key(2))
    mirror.source.update(SCHEMA, TABLE, 2, v=2)
    mirror.catch_up(tailer)
    mirror.database.poison.clear()
    (stored,) = mirror.database.letters.values()
    return stored


def test_an_update_is_looked_up_again() -> None:
    mirror = Mirror()
    stored = _parked_update(mirror)
    mirror.advance(5)
    assert replayer(mirror).replay(stored.number).outcome is Outcome.APPLIED
    assert mirror.identical()
    assert mirror.rows()["2"].ts > stored.letter.ts


def test_an_update_whose_document_is_gone_is_superseded() -> None:
    mirror = Mirror()
    stored = _parked_update(mirror)
    mirror.source.delete(SCHEMA, TABLE, 2)
    assert replayer(mirror).replay(stored.number).outcome is Outcome.SUPERSEDED
    assert mirror.metadata.letter(stored.number) is not None
    assert mirror.database.open_letters() == []


def test_an_update_that_went_with_its_table_is_noted_as_lost() -> None:
    mirror = Mirror()
    stored = _parked_update(mirror)
    mirror.source.drop(SCHEMA, TABLE)
    assert mirror.destination.drop(REF, mirror.source.now(), OnDrop.KEEP, soft=False, cause="drop")
    assert replayer(mirror).replay(stored.number).outcome is Outcome.SUPERSEDED
    [newest, *_] = mirror.metadata.errors(SCHEMA, 10)
    assert (newest.error_class, newest.occurrences) == ("UpdatesLost", 1)


def _parked_by_the_first_load(mirror: Mirror) -> StoredLetter:
    mirror.database.poison.add(key(2))
    mirror.insert(1, 2, 3, v=1)
    mirror.catch_up(mirror.tailer())
    mirror.database.poison.clear()
    (stored,) = mirror.database.letters.values()
    assert (stored.letter.position, stored.letter.payload) == (BEGINNING, b"")
    assert "warp/testing/transaction.py:" in stored.letter.traceback
    return stored


def test_a_document_of_a_first_load_is_looked_up_by_its_key() -> None:
    mirror = Mirror()
    stored = _parked_by_the_first_load(mirror)
    assert replayer(mirror).replay(stored.number).outcome is Outcome.APPLIED
    assert mirror.identical()


def test_a_document_of_a_first_load_that_is_gone_is_superseded() -> None:
    mirror = Mirror()
    stored = _parked_by_the_first_load(mirror)
    mirror.source.delete(SCHEMA, TABLE, 2)
    assert replayer(mirror).replay(stored.number).outcome is Outcome.SUPERSEDED


def test_a_document_that_a_second_load_brings_supersedes() -> None:
    mirror = Mirror()
    stored = _parked_by_the_first_load(mirror)
    mirror.metadata.replace_table(REF, mirror.source.now(), 1, "test")
    mirror.advance(5)
    mirror.catch_up(mirror.tailer())
    letter = mirror.metadata.letter(stored.number)
    assert letter is not None
    assert letter.state is LetterState.SUPERSEDED


def test_what_the_source_dropped_since_stays_gone(poisoned: Poisoned) -> None:
    poisoned.cure()
    mirror = poisoned.mirror
    assert mirror.destination.drop(REF, mirror.source.now() + 1, OnDrop.TRUNCATE, soft=mirror.soft, cause="drop")
    assert poisoned.replay() is Outcome.SUPERSEDED
    assert mirror.rows() == {}


def test_the_table_evolves_for_a_replay(poisoned: Poisoned) -> None:
    mirror = poisoned.mirror
    mirror.source.replace(SCHEMA, TABLE, {"_id": 2, "new": 1})
    poisoned.catch_up()
    poisoned.cure()
    stored = list(mirror.database.letters.values())[-1]
    shape = mirror.database.shapes[REF]
    mirror.database.shapes[REF] = replace(shape, columns={"v": shape.columns["v"]})
    assert replayer(mirror).replay(stored.number).outcome is Outcome.APPLIED
    assert mirror.identical()


def test_the_partition_is_the_one_of_the_table_as_it_is_now() -> None:
    mirror = Mirror()
    stored = _parked_update(mirror)
    position = mirror.metadata.markers(SCHEMA)[PARTITION]
    assert mirror.metadata.repartition(REF, 1, 3, position)
    number = mirror.source.key_hash(key(2)) % 3
    for locked in range(3):
        with mirror.destination.transaction() as transaction:
            assert transaction.lock_partition(Partition(*REF, locked, 3))
            if locked == number:
                with pytest.raises(Transient):
                    replayer(mirror).replay(stored.number)
    assert replayer(mirror).replay(stored.number).outcome is Outcome.APPLIED


def test_a_number_of_partitions_that_changes_under_a_replay_is_seen() -> None:
    mirror = Mirror()
    stored = _parked_update(mirror)
    position = mirror.metadata.markers(SCHEMA)[PARTITION]
    mirror.calls.clear()
    mirror.meanwhile["transaction.lock_partition"] = [lambda: mirror.metadata.repartition(REF, 1, 2, position)]
    assert replayer(mirror).replay(stored.number).outcome is Outcome.APPLIED
    assert mirror.calls.count("transaction.lock_partition") == 2


def test_a_letter_that_was_discarded_meanwhile_is_left_alone(poisoned: Poisoned) -> None:
    poisoned.cure()
    discard = poisoned.mirror.metadata.discard_letter
    poisoned.mirror.meanwhile["transaction.lock_letter"] = [lambda: discard(poisoned.stored.number)]
    assert poisoned.replay() is Outcome.SETTLED
    assert "2" not in poisoned.mirror.rows()
    assert poisoned.letter().state is LetterState.DISCARDED


def test_a_letter_of_an_excluded_table_is_not_replayed_and_stays_as_it_is(poisoned: Poisoned) -> None:
    poisoned.cure()
    poisoned.mirror.excluded = {TABLE}
    before, rows = poisoned.letter(), poisoned.mirror.rows()
    replayed = replayer(poisoned.mirror).replay(poisoned.stored.number)
    assert (replayed.outcome, str(replayed.error)) == (Outcome.EXCLUDED, f"{REF} is excluded by the configuration")
    assert (poisoned.letter(), poisoned.mirror.rows()) == (before, rows)


def test_once_the_table_is_included_again_its_letters_are_superseded(poisoned: Poisoned) -> None:
    mirror = poisoned.mirror
    poisoned.cure()
    mirror.excluded = {TABLE}
    mirror.catch_up(mirror.tailer())
    mirror.excluded = set()
    mirror.catch_up(mirror.tailer())
    assert poisoned.letter().state is LetterState.SUPERSEDED
    assert mirror.identical()
    assert poisoned.replay() is Outcome.SETTLED


@pytest.fixture
def job(poisoned: Poisoned, monkeypatch: pytest.MonkeyPatch) -> Poisoned:
    """A worker whose jobs replay that mirror's letters."""
    monkeypatch.setattr(context, "_replayer", replayer(poisoned.mirror))
    return poisoned


def test_a_job_succeeds_where_nothing_is_left_to_do(job: Poisoned) -> None:
    job.cure()
    replay_v1(job.stored.number)
    assert job.letter().state is LetterState.APPLIED
    replay_v1(job.stored.number)
    replay_v1(99)


def test_a_job_fails_where_the_replay_does(job: Poisoned) -> None:
    with pytest.raises(ReplayFailed) as caught:
        replay_v1(job.stored.number)
    assert str(caught.value) == job.letter().letter.traceback


def test_a_job_for_a_letter_of_an_excluded_table_fails_and_says_so(job: Poisoned) -> None:
    job.mirror.excluded = {TABLE}
    with pytest.raises(ReplayFailed, match="is excluded by the configuration"):
        replay_v1(job.stored.number)


@pytest.mark.parametrize("error", [Transient("not now"), ZeroDivisionError("hunter2")])
def test_what_a_job_raises_holds_no_values(job: Poisoned, error: Exception) -> None:
    """RQ shows and logs it, with its causes."""
    error.__cause__ = ValueError("hunter2")
    job.mirror.fail["transaction.lock_letter"] = [error] * ATTEMPTS
    with pytest.raises(ReplayFailed) as caught:
        replay_v1(job.stored.number)
    shown = "".join(traceback.format_exception(caught.value))
    assert "ValueError" in shown
    assert "hunter2" not in shown
