"""Rounds that fail: each is told, kept and tried again; none ends its process."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from scheduler.attempts import Attempts
from warp.errors import Fatal, Transient
from warp.retry import MENDED_SECONDS
from warp.testing import MemoryDestination


class _Rounds:
    """Each fails as it is told to; what failed is given back."""

    def __init__(self, *failures: BaseException | None) -> None:
        self.metadata = MemoryDestination().metadata
        self._failures = list(failures)
        self.given_back = 0
        self.attempt = Attempts("shop", self._round, self.metadata, on_error=self._give_back)

    def _round(self) -> None:
        if failure := self._failures.pop(0):
            raise failure

    def _give_back(self) -> None:
        self.given_back += 1

    def errors(self) -> list[str]:
        """The texts of what is kept."""
        return [error.error for error in self.metadata.errors("shop", 10)]


def test_a_round_that_went_well_is_followed_by_the_next_at_once() -> None:
    rounds = _Rounds(None)
    assert rounds.attempt() == 0.0
    assert not rounds.given_back


def test_what_passes_is_waited_for_longer_and_longer_and_a_success_begins_anew() -> None:
    rounds = _Rounds(*[Transient("away")] * 6, None, Transient("away"))
    waits = [rounds.attempt() for _ in range(8)]
    assert 0 < waits[0] < waits[5]
    assert waits[6] == 0.0
    assert waits[7] < waits[5]
    assert rounds.given_back == 7
    assert rounds.errors() == ["away"]


@pytest.mark.parametrize("failure", [Fatal("no privilege", remedy="grant it"), ValueError("a document's value")])
def test_what_a_person_must_mend_is_tried_now_and_then(failure: Exception) -> None:
    rounds = _Rounds(failure, None)
    assert rounds.attempt() == MENDED_SECONDS
    assert rounds.given_back == 1
    assert rounds.attempt() == 0.0


def test_a_defect_is_kept_with_its_place_and_without_values() -> None:
    rounds = _Rounds(ValueError("a document's value"))
    with capture_logs() as logs:
        rounds.attempt()
    (kept,) = rounds.metadata.errors("shop", 10)
    assert kept.error.startswith("a defect of cartridge-warp: ValueError, tests/unit/test_attempts.py")
    assert kept.remedy
    told = next(line for line in logs if "trace" in line)
    assert "_round" in told["trace"]
    assert "a document's value" not in str([logs, kept])


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1)])
def test_the_end_of_the_process_is_no_failure(end: BaseException) -> None:
    rounds = _Rounds(end)
    with pytest.raises(type(end)):
        rounds.attempt()
    assert not rounds.errors()
