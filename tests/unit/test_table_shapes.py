"""Workers give tables their shapes: with the cause and the place in the stream, up to the number that is configured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from warp.change import BEGINNING, Partition, TableRef
from warp.config import TableSettings
from warp.evolution.decide import Decision
from warp.evolution.infer import Seen
from warp.evolution.rules import Rules

PARTITION = Partition(*REF, 0, 1)


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
def evolved(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the destination was told, each time that a table had to evolve."""
    told: list[dict[str, Any]] = []
    evolve = mirror.destination.evolve

    def noting(ref: TableRef, seen: Seen, rules: Rules, **how: Any) -> Decision:
        told.append({"rules": rules, **how})
        return evolve(ref, seen, rules, **how)

    monkeypatch.setattr(mirror.destination, "evolve", noting)
    return told


def test_the_stream_says_up_to_where_it_brought_a_new_shape(mirror: Mirror, evolved: list[dict[str, Any]]) -> None:
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, a=1)
    tailer.tick()
    mirror.applier().step(PARTITION)
    made = mirror.source.log[-1].position
    mirror.source.update(SCHEMA, TABLE, 1, b=1)
    tailer.tick()
    mirror.applier().step(PARTITION)
    assert [how["position"] for how in evolved] == [made, mirror.source.log[-1].position]
    assert {how["cause"] for how in evolved} == {f"change stream, {PARTITION}"}


def test_a_first_load_has_no_place_in_the_stream(mirror: Mirror, evolved: list[dict[str, Any]]) -> None:
    mirror.insert(1, 2, a=1)
    mirror.catch_up(mirror.tailer())
    assert [(how["cause"], how["position"]) for how in evolved] == [("first load, chunk 1", BEGINNING)]


@pytest.mark.parametrize("loaded", [False, True])
def test_no_more_columns_are_made_than_are_configured(
    loaded: bool, mirror: Mirror, evolved: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = mirror.settings

    def narrow(ref: object = None) -> TableSettings:
        return replace(settings(ref), max_columns=2)

    monkeypatch.setattr(mirror, "settings", narrow)
    mirror.drain = mirror.new_drain()
    if not loaded:
        mirror.tailer().tick()
    mirror.insert(1, a=1, b=2, c=3)
    mirror.insert(2, d=4)
    mirror.catch_up(mirror.tailer())
    assert list(mirror.database.shapes[REF].columns) == ["a", "b"]
    assert mirror.identical()
    assert [how["rules"].max_columns for how in evolved] == [2]
