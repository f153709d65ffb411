"""Poison is found by bisection, and everything else is written."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.parts import key
from warp.change import Write
from warp.destinations.base import Written
from warp.errors import Poison, Transient
from workers.write import write_all


class _Table:
    """Refuses a batch with poison whole."""

    def __init__(self, poison: set[int]) -> None:
        self.rows: list[Write] = []
        self.attempts = 0
        self._poison = poison

    def put(self, writes: Sequence[Write]) -> Written:
        self.attempts += 1
        if any(write.ts in self._poison for write in writes):
            raise Poison("never")
        self.rows.extend(writes)
        return Written(upserted=len(writes))


def _writes(number: int) -> list[Write]:
    return [Write(key(ts), ts, {}) for ts in range(number)]


def test_without_poison_it_is_one_attempt() -> None:
    table = _Table(set())
    assert write_all(table.put, _writes(5)) == (Written(upserted=5), [])
    assert table.attempts == 1


@pytest.mark.parametrize("where", [0, 511, 1023])
def test_one_poison_of_a_thousand_costs_two_attempts_a_halving(where: int) -> None:
    table = _Table({where})
    written, poison = write_all(table.put, _writes(1024))
    assert (written.upserted, [write.ts for write, _ in poison]) == (1023, [where])
    assert table.attempts == 1 + 2 * log2(1024)


@given(number=st.integers(0, 40), poison=st.sets(st.integers(0, 39), max_size=5))
def test_all_but_the_poison_is_written_once(number: int, poison: set[int]) -> None:
    table, writes = _Table(poison), _writes(number)
    written, refused = write_all(table.put, writes)
    assert table.rows == [write for write in writes if write.ts not in poison]
    assert [write for write, _ in refused] == [write for write in writes if write.ts in poison]
    assert written.upserted == len(table.rows)
    assert table.attempts <= 1 + 2 * len(refused) * (ceil(log2(number)) if number > 1 else 0)


def test_what_is_not_poison_is_not_bisected() -> None:
    def put(_: Sequence[Write]) -> Written:
        raise Transient("not now")

    with pytest.raises(Transient):
        write_all(put, _writes(4))
