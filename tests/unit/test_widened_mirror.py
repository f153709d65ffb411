"""Misfits on their whole way, over the parts in memory: by the stream, by a first load, and by a dead letter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.mirror import REF, Mirror
from warp.config import TableSettings
from warp.evolution.rules import Conflict, Settled
from warp.evolution.shape import Column
from warp.metadata.base import LetterState
from warp.values import Kind
from workers.replay import Outcome, Replayer
from workers.report import Report


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Mirror:
    mirror = Mirror()
    settings = mirror.settings
    conflicts = [Conflict.EXTRA]

    def chosen(ref: object = None) -> TableSettings:
        return replace(settings(ref), conflict=conflicts[-1])

    monkeypatch.setattr(mirror, "settings", chosen)
    monkeypatch.setattr(mirror, "conflicts", conflicts, raising=False)
    mirror.drain = mirror.new_drain()
    return mirror


def by(mirror: Mirror, conflict: Conflict) -> None:
    """Have the configuration say that."""
    mirror.conflicts.append(conflict)  # type: ignore[attr-defined]


def column(mirror: Mirror) -> Column:
    return mirror.database.shapes[REF].columns["v"]


@pytest.mark.parametrize("loaded", [False, True])
def test_a_misfit_is_decided_by_whoever_writes_it(loaded: bool, mirror: Mirror) -> None:
    if not loaded:
        mirror.tailer().tick()
    mirror.insert(1, v=1)
    mirror.insert(2, v=0.5)
    mirror.insert(3, v="text")
    mirror.insert(4, v=[1])
    mirror.catch_up(mirror.tailer())
    assert mirror.identical()
    settled = dict.fromkeys((Kind.STRING, Kind.JSON), Settled.CONFLICT_EXTRA)
    assert column(mirror).kind is Kind.DOUBLE
    assert column(mirror).settled.items() >= settled.items()


@pytest.mark.parametrize("loaded", [False, True])
def test_a_document_that_conflicts_can_be_parked_and_replayed_by_another_rule(loaded: bool, mirror: Mirror) -> None:
    by(mirror, Conflict.DEAD_LETTER)
    if not loaded:
        mirror.tailer().tick()
    mirror.insert(1, v=1)
    mirror.insert(2, v="text")
    mirror.insert(3, v=3)
    mirror.catch_up(mirror.tailer())
    assert set(mirror.rows()) == {"1", "3"}
    [stored] = mirror.database.letters.values()
    assert stored.letter.remedy
    by(mirror, Conflict.TEXT)
    replayer = Replayer(
        mirror.source, mirror.destination, settings=mirror.settings, report=Report(), wait=lambda _: None
    )
    assert replayer.replay(stored.number).outcome is Outcome.APPLIED
    [stored] = mirror.database.letters.values()
    assert stored.state is LetterState.APPLIED
    assert column(mirror) == Column(name="v", kind=Kind.TEXT)
    assert mirror.identical()
