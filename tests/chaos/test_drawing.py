"""The same seed gives the same faults, and all kinds get their share."""

from __future__ import annotations

from itertools import islice
from random import Random

from tests.chaos.drawing import Drawn, draw
from tests.chaos.faults import FAULTS
from tests.chaos.faults.fault import pick, which

_KINDS = list(FAULTS.values())


def _first(seed: int, number: int = 100) -> list[Drawn]:
    return list(islice(draw(seed, _KINDS), number))


def test_the_same_seed_gives_the_same_faults() -> None:
    assert _first(7) == _first(7)
    assert [str(drawn) for drawn in _first(7)] != [str(drawn) for drawn in _first(8)]


def test_the_order_in_which_kinds_are_named_does_not_matter() -> None:
    assert list(islice(draw(7, _KINDS[::-1]), 100)) == _first(7)


def test_every_round_has_every_kind() -> None:
    drawn = _first(3, len(_KINDS) * 3)
    for start in range(0, len(drawn), len(_KINDS)):
        assert {each.fault.name for each in drawn[start : start + len(_KINDS)]} == FAULTS.keys()
    assert [each.number for each in drawn] == list(range(1, len(drawn) + 1))


def test_a_place_is_found_among_however_many_things() -> None:
    place = which(Random(1))
    assert [pick(range(number), place) < number for number in (1, 2, 7)] == [True] * 3
