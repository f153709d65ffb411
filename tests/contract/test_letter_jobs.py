"""The contract of letters' jobs: an open letter has a failed one, whatever happens (`LetterJobs`)."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.contract.transports import TransportBench
from warp.change import TableRef
from warp.transport.base import LetterJob

REF = TableRef("shop", "odd:na.me 1")


def job(number: int, ref: TableRef = REF) -> LetterJob:
    return LetterJob(number, ref, f"letter {number}", f"traceback {number}", datetime(2026, 11, 23, tzinfo=UTC))


def _missing(transport: TransportBench, *opened: int, schema: str = "shop") -> list[int]:
    """Which letters have no job, given the time to be sure."""
    first = transport.letter_jobs.settle(schema, opened)
    again = transport.letter_jobs.settle(schema, opened)
    assert set(first) <= set(again)
    return again


def test_letters_without_a_job_are_named(transport: TransportBench) -> None:
    assert _missing(transport) == []
    assert _missing(transport, 1, 2) == [1, 2]
    assert transport.letter_jobs.fail([job(2)]) == 1
    assert _missing(transport, 1, 2) == [1]
    assert transport.letter_jobs.fail([]) == 0


def test_a_failed_job_says_what_it_is_about(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1), job(17, TableRef("shop", "carts"))])
    assert transport.failed_letters() == {1: ("letter 1", "traceback 1"), 17: ("letter 17", "traceback 17")}


def test_a_letter_has_one_job(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1)])
    assert transport.letter_jobs.fail([job(1)._replace(traceback="another"), job(2)]) == 1
    assert transport.failed_letters()[1] == ("letter 1", "traceback 1")


def test_jobs_of_letters_that_are_settled_go(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1), job(2), job(3, TableRef("elsewhere", "carts")), job(4, TableRef("shop2", "a"))])
    assert _missing(transport, 2) == []
    assert transport.failed_letters().keys() == {2, 3, 4}
    assert _missing(transport) == []
    assert transport.failed_letters().keys() == {3, 4}
    transport.letter_jobs.fail([job(1)])
    assert 1 in transport.failed_letters()


def test_a_replay_that_succeeds_removes_its_job(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1), job(2)])
    transport.requeue_letter(2)
    replayed: list[int] = []
    transport.replay_letters(replayed.append)
    assert replayed == [2]
    assert transport.failed_letters().keys() == {1}
    assert _missing(transport, 1, 2) == [2]


def test_a_replay_that_fails_makes_its_job_a_failed_one_again(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1)])

    def replay(_: int) -> None:
        raise RuntimeError("again")

    for _ in range(2):
        transport.requeue_letter(1)
        transport.replay_letters(replay)
        description, traceback = transport.failed_letters()[1]
        assert description == "letter 1"
        assert "again" in traceback
        assert _missing(transport, 1) == []


def test_a_job_that_waits_is_left_alone(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1)])
    transport.requeue_letter(1)
    assert _missing(transport, 1) == []
    assert _missing(transport) == []
    assert transport.letter_jobs.fail([job(1)]) == 0
    replayed: list[int] = []
    transport.replay_letters(replayed.append)
    assert replayed == [1]


def test_a_job_that_is_being_replayed_is_left_alone(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1)])
    transport.requeue_letter(1)

    def replay(_: int) -> None:
        assert _missing(transport, 1) == []
        assert _missing(transport) == []
        assert transport.letter_jobs.fail([job(1)]) == 0

    transport.replay_letters(replay)
    assert transport.failed_letters() == {}


def test_a_job_that_a_worker_died_with_is_made_again(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1)])
    transport.requeue_letter(1)
    transport.die_replaying()
    assert transport.letter_jobs.settle("shop", [1]) == [], "it may only just have been taken"
    assert transport.letter_jobs.settle("shop", [1]) == [1]
    assert transport.letter_jobs.fail([job(1)]) == 1
    assert transport.failed_letters().keys() == {1}


def test_everything_that_was_lost_is_missing(transport: TransportBench) -> None:
    transport.letter_jobs.fail([job(1), job(2)])
    transport.requeue_letter(2)
    transport.lose_everything()
    assert _missing(transport, 1, 2) == [1, 2]
    assert transport.letter_jobs.fail([job(1), job(2)]) == 2
    assert transport.failed_letters().keys() == {1, 2}
