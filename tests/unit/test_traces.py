"""Tracebacks that say where, and hold no document values."""

from __future__ import annotations

import pytest
from psycopg.errors import CheckViolation

from warp.errors import Poison, Transient
from warp.traces import trace

SECRET = "hunter2"


def _refused() -> None:
    raise CheckViolation(f"Failing row contains ({SECRET}).")


def _translated() -> None:
    try:
        _refused()
    except CheckViolation as error:
        raise Poison("the row breaks a constraint") from error


def test_an_error_and_its_cause_are_named_with_where_they_were_raised() -> None:
    with pytest.raises(Poison) as caught:
        _translated()
    cause, error = trace(caught.value).split("\n\nThis led to:\n\n")
    assert cause.splitlines()[-2].startswith("  tests/unit/test_traces.py:")
    assert cause.splitlines()[-2].endswith(" in _refused")
    assert cause.splitlines()[-1] == "psycopg.errors.CheckViolation (SQLSTATE 23514)"
    assert error.splitlines()[-2].endswith(" in _translated")
    assert error.splitlines()[-1] == "Poison: the row breaks a constraint"


def test_messages_of_others_are_left_out() -> None:
    with pytest.raises(Poison) as caught:
        _translated()
    assert SECRET not in trace(caught.value)
    assert trace(KeyError(SECRET)) == "builtins.KeyError"


def test_a_cause_that_was_left_out_stays_out() -> None:
    def quiet() -> None:
        try:
            _refused()
        except CheckViolation:
            raise Transient("not now") from None

    with pytest.raises(Transient) as caught:
        quiet()
    assert "CheckViolation" not in trace(caught.value)


def test_no_path_of_this_machine_is_shown() -> None:
    with pytest.raises(Poison) as caught:
        _translated()
    frames = [line for line in trace(caught.value).splitlines() if line.startswith("  ")]
    assert frames
    assert not any(line.strip().startswith("/") for line in frames)


def test_errors_that_were_raised_from_each_other_end() -> None:
    one, two = Poison("one"), Poison("two")
    one.__cause__, two.__cause__ = two, one
    assert trace(one) == "Poison: two\n\nThis led to:\n\nPoison: one"
