"""Which tracebacks in a log count against a process."""

from __future__ import annotations

import pytest

from tests.chaos.verdict import unexpected

_TRACEBACK = """Traceback (most recent call last):
  File "a.py", line 1, in f
    raise error
{raised}
"""


def test_tracebacks_are_told_apart_by_what_was_raised() -> None:
    raised = ["redis.exceptions.ConnectionError: gone", "ValueError: no", "rq.exceptions.InvalidJobOperation: lost"]
    log = "".join(f"2026-11-23 [error] oh\n{_TRACEBACK.format(raised=line)}" for line in raised)
    assert unexpected(log) == ["ValueError: no"]


@pytest.mark.parametrize(
    "link",
    [
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
    ],
)
def test_only_the_last_of_several_that_led_to_one_another_counts(link: str) -> None:
    first, last = (_TRACEBACK.format(raised=raised) for raised in ("OSError: refused", "redis.exceptions.X: away"))
    assert unexpected(f"{first}\n{link}\n\n{last}") == []
    assert unexpected(f"{last}\n{link}\n\n{first}") == ["OSError: refused"]


def test_a_log_without_tracebacks() -> None:
    assert unexpected("2026-11-23 [info] all is well\n") == []
