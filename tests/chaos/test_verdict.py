"""Which tracebacks in a log count against a process."""

from __future__ import annotations

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


def test_each_of_several_that_led_to_one_another_counts() -> None:
    log = f"{_TRACEBACK.format(raised='KeyError: 1')}\nDuring handling\n\n{_TRACEBACK.format(raised='OSError')}"
    assert unexpected(log) == ["KeyError: 1", "OSError"]


def test_a_log_without_tracebacks() -> None:
    assert unexpected("2026-11-23 [info] all is well\n") == []
