"""Random runs over tables that keep their history: see `tests.simulation.histories`."""

from __future__ import annotations

import pytest

from tests.simulation.conditions import simulated
from tests.simulation.histories import HistoryWorld
from tests.simulation.weather import KINDS
from warp.testing.history import History

SEEDS = 3


def _wrongs(kind: str, seeds: range) -> dict[int, list[str]]:
    with simulated():
        found = {seed: HistoryWorld(seed, kind).run() for seed in seeds}
    return {seed: wrongs for seed, wrongs in found.items() if wrongs}


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_is_a_row_and_the_last_one_is_the_document(kind: str) -> None:
    assert _wrongs(kind, range(SEEDS)) == {}


def test_a_run_fails_where_late_rows_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(History, "_end_late", lambda *_: None)
    assert _wrongs("upheavals", range(1))
