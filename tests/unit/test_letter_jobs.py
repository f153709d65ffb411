"""The scheduler shows open letters as failed jobs, and only those."""

from __future__ import annotations

import pytest

from scheduler.letters import LOOK_SECONDS, Letters
from tests.unit.mirror import REF, SCHEMA, Mirror
from tests.unit.parts import key
from warp.testing import MemoryLetterJobs


class _Shown:
    """Three letters, and the schedulers that show them."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.jobs = MemoryLetterJobs(self.mirror.broker)
        self.mirror.database.poison.update(map(key, (1, 2, 3)))
        tailer = self.mirror.tailer()
        self.mirror.catch_up(tailer)
        self.mirror.insert(1, 2, 3, password="hunter2")
        self.mirror.catch_up(tailer)
        self.schedulers = [self.scheduler() for _ in range(2)]

    def scheduler(self) -> Letters:
        return Letters(SCHEMA, self.mirror.metadata, MemoryLetterJobs(self.mirror.broker), clock=self.mirror.clock)

    def look(self) -> list[int]:
        self.mirror.advance(LOOK_SECONDS)
        return [scheduler.tick() for scheduler in self.schedulers]


def test_every_open_letter_gets_one_job_from_whoever_comes_first() -> None:
    shown = _Shown()
    assert shown.look() == [3, 0]
    assert shown.jobs.failed().keys() == {1, 2, 3}
    assert shown.look() == [0, 0]


def test_a_job_says_what_can_be_said_without_values() -> None:
    shown = _Shown()
    shown.look()
    job = shown.jobs.failed()[1]
    assert (job.ref, job.description) == (
        REF,
        "dead letter 1: insert in shop.orders, key of kind int: Poison: this document can never be stored",
    )
    assert "warp/testing/transaction.py:" in job.traceback
    assert job.traceback.endswith("Poison: this document can never be stored")
    assert "hunter2" not in str(job)


def test_what_is_settled_is_shown_no_more() -> None:
    shown = _Shown()
    shown.look()
    shown.mirror.metadata.discard_letter(2)
    shown.look()
    assert shown.jobs.failed().keys() == {1, 3}


def test_after_redis_lost_everything_all_come_back() -> None:
    shown = _Shown()
    shown.look()
    shown.mirror.broker.flush()
    assert shown.look() == [3, 0]


def test_what_is_requeued_is_left_to_its_worker() -> None:
    shown = _Shown()
    shown.look()
    shown.jobs.requeue(2)
    assert shown.look() == [0, 0]
    assert shown.jobs.take() == 2
    assert shown.look() == [0, 0]
    assert shown.jobs.failed().keys() == {1, 3}


def test_the_newest_are_shown_and_older_ones_as_those_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.letters.MOST", 2)
    shown = _Shown()
    shown.look()
    assert shown.jobs.failed().keys() == {2, 3}
    shown.mirror.metadata.discard_letter(3)
    shown.look()
    assert shown.jobs.failed().keys() == {1, 2}


def test_it_looks_now_and_then_only() -> None:
    shown = _Shown()
    shown.look()
    shown.mirror.calls.clear()
    for scheduler in shown.schedulers:
        scheduler.tick()
    assert shown.mirror.calls == []


def test_a_letter_that_is_settled_in_between_gets_no_job() -> None:
    shown = _Shown()
    shown.mirror.meanwhile["metadata.letters"] = [lambda: shown.mirror.metadata.discard_letter(2)]
    assert shown.scheduler().tick() == 2
    assert shown.jobs.failed().keys() == {1, 3}
