"""A table that somebody dropped while it was excluded is made anew, with whatever layout it is to have then."""

from __future__ import annotations

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import REF, key, make_table, seen, upsert
from warp.change import Write
from warp.evolution.rules import Layout, Rules


@pytest.mark.parametrize("dropped", [True, False], ids=["dropped", "kept"])
def test_only_a_table_that_is_gone_is_made_anew_when_it_is_included_again(
    dropped: bool, target: DestinationBench
) -> None:
    destination, rules = target.destination, Rules(layout=Layout.DOCUMENT)
    shape = make_table(target)
    upsert(target, shape, 1, "a")
    destination.metadata.exclude(REF)
    if dropped:
        target.drop_by_hand(REF)
    destination.metadata.include(REF)
    assert destination.tables(REF.schema) == ({} if dropped else {REF.table: shape})

    decision = destination.evolve(REF, seen({"doc": 1}), rules, cause="test")
    assert decision.changes is dropped
    if not dropped:
        assert decision.after == shape
        return
    assert (decision.before, decision.after.layout) == (None, Layout.DOCUMENT)
    assert decision.after.columns.keys() == {"doc"}
    with destination.transaction() as transaction:
        assert transaction.shape(REF) == decision.after
        transaction.upsert(REF, decision.after, [Write(key("b"), 2, {"doc": None})])
    assert target.states(REF) == {"b": (2, False)}


def test_a_table_that_was_never_made_is_included_again(target: DestinationBench) -> None:
    metadata = target.destination.metadata
    metadata.exclude(REF)
    metadata.include(REF)
    assert metadata.excluded(REF.schema) == set()
    assert target.destination.tables(REF.schema) == {}
