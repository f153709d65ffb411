"""The contract of destinations: what becomes of rows when the source drops their table (`Destination.drop`)."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import (
    PARTITION,
    REF,
    START,
    delete,
    evolve,
    key,
    load,
    make_table,
    shown,
    table_state,
    upsert,
)
from warp.change import Partition, TableRef, Write
from warp.destinations.base import OnDrop
from warp.errors import Transient
from warp.evolution.shape import Shape
from warp.metadata.base import SnapshotState
from warp.values import Kind

EVERY = pytest.mark.parametrize("on_drop", OnDrop)
REMOVING = pytest.mark.parametrize("on_drop", [OnDrop.TRUNCATE, OnDrop.DROP])


def _drop(target: DestinationBench, ts: int, on_drop: OnDrop, *, soft: bool = False) -> bool:
    return target.destination.drop(REF, ts, on_drop, soft=soft, cause="drop")


def _floor(target: DestinationBench, partition: Partition = PARTITION) -> int:
    """The floor as a step finds it."""
    with target.destination.transaction() as transaction:
        state = transaction.lock_partition(partition)
    assert state is not None
    return state.floor


def _table(target: DestinationBench, *, soft: bool = False) -> Shape:
    shape = make_table(target, soft=soft)
    upsert(target, shape, 10, "a", "b")
    return shape


def test_kept_rows_stay_and_are_no_rows_of_documents(target: DestinationBench) -> None:
    shape = _table(target)
    assert _drop(target, 20, OnDrop.KEEP)
    assert target.states(REF) == {"a": (10, False), "b": (10, False)}
    assert (shown(target), target.destination.kept(REF)) == ({}, 2)
    upsert(target, shape, 30, "b", "c")
    assert shown(target) == {"b": 1, "c": 1}
    assert target.destination.kept(REF) == 1
    assert target.destination.rows(REF, [key("a")]) == {}


def test_changes_from_before_the_drop_still_count_for_rows_that_are_kept(target: DestinationBench) -> None:
    shape = _table(target)
    assert _drop(target, 20, OnDrop.KEEP)
    assert _floor(target) == 0
    upsert(target, shape, 19, "a", "late", v=2)
    delete(target, shape, 19, "b")
    assert target.states(REF) == {"a": (19, False), "late": (19, False)}
    assert shown(target) == {}


def test_kept_rows_that_were_softly_deleted_are_not_counted(target: DestinationBench) -> None:
    shape = _table(target, soft=True)
    delete(target, shape, 15, "a", soft=True)
    assert _drop(target, 20, OnDrop.KEEP, soft=True)
    assert (shown(target), target.destination.kept(REF)) == ({}, 1)


@REMOVING
def test_older_rows_go_and_newer_ones_stay(target: DestinationBench, on_drop: OnDrop) -> None:
    shape = _table(target)
    upsert(target, shape, 20, "b", "c")
    assert _drop(target, 20, on_drop)
    assert target.states(REF) == {"b": (20, False), "c": (20, False)}
    assert shown(target) == {"b": 1, "c": 1}


def test_rows_of_a_table_with_soft_deletes_are_marked_as_of_the_drop(target: DestinationBench) -> None:
    shape = _table(target, soft=True)
    delete(target, shape, 15, "a", soft=True)
    upsert(target, shape, 25, "c")
    assert _drop(target, 20, OnDrop.TRUNCATE, soft=True)
    assert target.states(REF) == {"a": (15, True), "b": (20, True), "c": (25, False)}
    upsert(target, shape, 30, "b")
    assert shown(target) == {"b": 1, "c": 1}


@pytest.mark.parametrize("soft", [False, True])
def test_an_emptied_table_goes_with_its_rows(target: DestinationBench, soft: bool) -> None:
    _table(target, soft=soft)
    assert _drop(target, 20, OnDrop.DROP, soft=soft)
    assert target.destination.tables(REF.schema) == {}
    with target.destination.transaction() as transaction:
        assert transaction.shape(REF) is None


def test_a_table_of_that_name_may_have_another_shape_afterwards(target: DestinationBench) -> None:
    with closing(target.another()) as other:
        old = _table(target)
        with other.transaction() as transaction:
            assert transaction.shape(REF) == old
        assert _drop(target, 20, OnDrop.DROP)
        new = evolve(target.destination, {"v": "text"}, keys=[key("a")]).after
        assert {name: column.kind for name, column in new.columns.items()} == {"v": Kind.STRING}
        upsert(target, new, 30, "a", v="text")
        with other.transaction() as transaction:
            assert transaction.shape(REF) == new
            transaction.upsert(REF, new, [Write(key("b"), 30, {"v": "more"})])
        assert shown(target) == {"a": "text", "b": "more"}


def test_a_shape_that_was_seen_before_the_table_went_is_forgotten(target: DestinationBench) -> None:
    with closing(target.another()) as other:
        shape = _table(target)
        with other.transaction() as transaction:
            assert transaction.shape(REF) == shape
        assert _drop(target, 20, OnDrop.DROP)

        def seen() -> Shape | None:
            with other.transaction() as transaction:
                return transaction.shape(REF)

        try:
            assert seen() is None
        except Transient:
            assert seen() is None, "at the latest when it is tried again"


@EVERY
def test_a_drop_is_done_once(target: DestinationBench, on_drop: OnDrop) -> None:
    shape = _table(target)
    assert _drop(target, 20, on_drop)
    if on_drop is OnDrop.DROP:
        shape = evolve(target.destination, {"v": 1}).after
    upsert(target, shape, 30, "new")
    before = target.states(REF)
    for ts in (20, 19):
        for again in OnDrop:
            assert not _drop(target, ts, again)
    assert target.states(REF) == before
    assert target.audit(REF) == [f"source table dropped: {on_drop}"]


@EVERY
def test_a_table_that_was_blocked_takes_changes_again(target: DestinationBench, on_drop: OnDrop) -> None:
    """What blocked it may be void; if not, the next change will say so. And there may never be a next one."""
    _table(target)
    target.destination.metadata.block(REF, "altered by hand", "alter it back")
    assert _drop(target, 30, on_drop)
    assert not table_state(target).blocked


@EVERY
def test_a_later_drop_is_another_one(target: DestinationBench, on_drop: OnDrop) -> None:
    shape = _table(target)
    assert _drop(target, 20, on_drop)
    if on_drop is OnDrop.DROP:
        shape = evolve(target.destination, {"v": 1}).after
    upsert(target, shape, 30, "new")
    assert _drop(target, 40, on_drop)
    if on_drop is OnDrop.KEEP:
        assert target.destination.kept(REF) == 3
    else:
        assert target.states(REF) == {}
    assert len(target.audit(REF)) == 2


@EVERY
def test_a_table_that_nobody_knows_cannot_be_dropped(target: DestinationBench, on_drop: OnDrop) -> None:
    make_table(target)
    unknown = TableRef("shop", "unknown")
    assert not target.destination.drop(unknown, 20, on_drop, soft=False, cause="drop")
    assert target.audit(unknown) == []
    assert "unknown" not in target.destination.metadata.partitions("shop")


@EVERY
def test_a_table_that_has_no_rows_yet_can_be_dropped(target: DestinationBench, on_drop: OnDrop) -> None:
    target.destination.metadata.begin_schema(REF.schema, START, [], {})
    target.destination.metadata.add_tables(REF.schema, {REF.table: 1})
    assert _drop(target, 20, on_drop)
    assert target.audit(REF) == [f"source table dropped: {on_drop}"]


@REMOVING
def test_steps_find_the_floor_also_under_markers_that_are_made_later(target: DestinationBench, on_drop: OnDrop) -> None:
    _table(target)
    assert _floor(target) == 0
    assert _drop(target, 20, on_drop)
    assert _floor(target) == 20
    assert target.destination.metadata.repartition(REF, 1, 3, "8230")
    assert [_floor(target, Partition(*REF, number, 3)) for number in range(3)] == [20, 20, 20]
    assert _drop(target, 40, on_drop)
    assert [_floor(target, Partition(*REF, number, 3)) for number in range(3)] == [40, 40, 40]


@REMOVING
def test_a_marker_that_is_first_made_after_the_drop_has_its_floor(target: DestinationBench, on_drop: OnDrop) -> None:
    _table(target)
    assert _drop(target, 20, on_drop)
    assert _floor(target) == 20


@EVERY
def test_a_drop_waits_for_a_step_under_way(
    target: DestinationBench, on_drop: OnDrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 50)
    shape = _table(target)
    with closing(target.another()) as other:
        with target.destination.transaction() as transaction:
            assert transaction.lock_partition(PARTITION)
            transaction.upsert(REF, shape, [Write(key("c"), 15, {"v": 1})])
            with pytest.raises(Transient):
                other.drop(REF, 20, on_drop, soft=False, cause="drop")
        assert other.drop(REF, 20, on_drop, soft=False, cause="drop")
    assert target.states(REF).keys() == ({"a", "b", "c"} if on_drop is OnDrop.KEEP else set())


@REMOVING
def test_a_drop_ends_the_first_load(target: DestinationBench, on_drop: OnDrop) -> None:
    shape = _table(target)
    delete(target, shape, 12, "a", tombstones=True)
    [first, _] = target.destination.metadata.missing_chunks(REF, 10)
    assert _drop(target, 20, on_drop)
    assert (table_state(target).snapshot, table_state(target).chunks) == (SnapshotState.DONE, 0)
    assert target.destination.metadata.missing_chunks(REF, 10) == []
    assert target.tombstones(REF) == 0
    with target.destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, first) is None, "a worker that wakes up now has nothing to load"


def test_a_first_load_of_kept_rows_goes_on(target: DestinationBench) -> None:
    shape = _table(target)
    [first, _] = target.destination.metadata.missing_chunks(REF, 10)
    assert _drop(target, 20, OnDrop.KEEP)
    with target.destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, first)
        transaction.load(REF, shape, [Write(key("d"), 19, {"v": 1})])
    assert (target.destination.kept(REF), shown(target)) == (3, {})


def test_what_was_read_before_the_drop_is_not_loaded(target: DestinationBench) -> None:
    shape = _table(target)
    assert _drop(target, 20, OnDrop.TRUNCATE)
    assert load(target, shape, 19, "old").stale == 1
    assert load(target, shape, 20, "new").upserted == 1
    assert target.states(REF) == {"new": (20, False)}


@REMOVING
def test_a_load_under_way_is_not_overtaken(
    target: DestinationBench, on_drop: OnDrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 50)
    shape = _table(target)
    [first, _] = target.destination.metadata.missing_chunks(REF, 10)
    with closing(target.another()) as other:
        with target.destination.transaction() as transaction:
            assert transaction.lock_chunk(REF, first)
            transaction.load(REF, shape, [Write(key("c"), 15, {"v": 1})])
            with pytest.raises(Transient):
                other.drop(REF, 20, on_drop, soft=False, cause="drop")
        assert other.drop(REF, 20, on_drop, soft=False, cause="drop")
    assert target.states(REF) == {}
