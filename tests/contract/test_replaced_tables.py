"""The contract of destinations: a table whose documents the source replaced is read again, and swept."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import PARTITION, REF, delete, load, make_table, shown, table_state, upsert
from warp.change import Partition, TableRef
from warp.destinations.base import OnDrop
from warp.errors import Transient
from warp.evolution.shape import Shape
from warp.metadata.base import Metadata, SnapshotState
from warp.sources.base import Chunk

WHOLE = Chunk(lower=None, upper=None)


def _replace(target: DestinationBench, ts: int, ref: TableRef = REF) -> bool:
    return target.destination.metadata.replace_table(ref, ts, 2, "rename of drafts to orders")


def _sweep(target: DestinationBench, limit: int = 100, *, soft: bool = False) -> int:
    return target.destination.sweep(REF, limit, soft=soft)


def _replaced(target: DestinationBench, ts: int, *, soft: bool = False) -> Shape:
    """A table of rows a to d, as of 10, replaced at `ts`, and its snapshot loaded but for the rows."""
    shape = make_table(target, soft=soft)
    upsert(target, shape, 10, "a", "b", "c", "d")
    assert _replace(target, ts)
    _plan(target)
    return shape


def _plan(target: DestinationBench) -> None:
    assert target.destination.metadata.add_chunks(REF, [WHOLE]) == 1


def _finish(target: DestinationBench) -> None:
    metadata = target.destination.metadata
    with target.destination.transaction() as transaction:
        for chunk in metadata.missing_chunks(REF, 10):
            assert transaction.lock_chunk(REF, chunk)
            transaction.finish_chunk(REF, chunk)


def test_a_table_is_read_as_of_its_floor_or_later(target: DestinationBench) -> None:
    make_table(target)
    metadata = target.destination.metadata
    (state,) = [schema for schema in [metadata.schema(REF.schema)] if schema]
    assert metadata.begins_at(REF) == state.start_ts - 1
    assert metadata.begins_at(TableRef(REF.schema, "unknown")) == 0
    floor = state.start_ts + 20
    assert _replace(target, floor)
    assert metadata.begins_at(REF) == floor


def test_what_is_settled_of_a_table_that_is_read_again_never_goes_back(target: DestinationBench) -> None:
    make_table(target)
    metadata = target.destination.metadata
    assert metadata.unswept(REF.schema) == set()
    assert _replace(target, 20)
    assert metadata.unswept(REF.schema) == {REF.table}
    metadata.settle(REF.schema, {REF.table: 30})
    metadata.settle(REF.schema, {REF.table: 25})
    assert table_state(target).settled == 30
    _plan(target)
    _finish(target)
    assert metadata.unswept(REF.schema) == {REF.table}
    assert metadata.close_snapshot(REF)
    assert metadata.unswept(REF.schema) == set()


def test_a_replaced_table_is_planned_again_whatever_its_snapshot_was(target: DestinationBench) -> None:
    make_table(target)
    assert _replace(target, 20)
    state = table_state(target)
    assert (state.snapshot, state.chunks, state.floor) == (SnapshotState.PLANNED, 0, 20)
    _plan(target)
    _finish(target)
    assert target.destination.metadata.close_snapshot(REF)
    assert _replace(target, 30)
    assert (table_state(target).snapshot, table_state(target).floor) == (SnapshotState.PLANNED, 30)
    assert target.audit(REF) == ["source table replaced: to be read again"] * 2


def test_a_replacement_is_done_once(target: DestinationBench) -> None:
    _replaced(target, 20)
    for ts in (20, 19):
        assert not _replace(target, ts)
    assert (table_state(target).snapshot, table_state(target).chunks) == (SnapshotState.LOADING, 1)
    assert len(target.audit(REF)) == 1


def test_a_table_that_nobody_knows_becomes_known_by_being_replaced(target: DestinationBench) -> None:
    make_table(target)
    unknown = TableRef("shop", "unknown")
    assert _replace(target, 20, unknown)
    assert target.destination.metadata.partitions("shop") == {"orders": 1, "unknown": 2}
    state = next(table for table in target.destination.metadata.tables("shop") if table.ref == unknown)
    assert (state.snapshot, state.floor) == (SnapshotState.PLANNED, 20)


def test_a_known_table_keeps_its_partitions(target: DestinationBench) -> None:
    _replaced(target, 20)
    assert target.destination.metadata.partitions("shop") == {"orders": 1}


def test_the_chunks_of_the_table_before_are_no_ones_any_more(target: DestinationBench) -> None:
    make_table(target)
    metadata = target.destination.metadata
    before = metadata.missing_chunks(REF, 10)
    assert _replace(target, 20)
    _plan(target)
    after = metadata.missing_chunks(REF, 10)
    assert not {*before} & {*after}
    with target.destination.transaction() as transaction:
        assert [transaction.lock_chunk(REF, chunk) for chunk in before] == [None, None]
        assert [transaction.lock_chunk(REF, chunk) for chunk in after] == [WHOLE]


def test_a_replacement_waits_for_a_chunk_that_is_being_written(
    target: DestinationBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 50)
    make_table(target)
    [first, _] = target.destination.metadata.missing_chunks(REF, 10)
    with closing(target.another()) as other:
        with target.destination.transaction() as transaction:
            assert transaction.lock_chunk(REF, first)
            with pytest.raises(Transient):
                other.metadata.replace_table(REF, 20, 1, "rename")
        assert other.metadata.replace_table(REF, 20, 1, "rename")


def test_a_replacement_waits_for_a_step_under_way(target: DestinationBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 50)
    make_table(target)
    with closing(target.another()) as other:
        with target.destination.transaction() as transaction:
            assert transaction.lock_partition(PARTITION)
            with pytest.raises(Transient):
                other.metadata.replace_table(REF, 20, 1, "rename")
        assert other.metadata.replace_table(REF, 20, 1, "rename")


def test_a_step_finds_the_floor_and_the_snapshot_of_a_replaced_table(target: DestinationBench) -> None:
    _replaced(target, 20)
    with target.destination.transaction() as transaction:
        state = transaction.lock_partition(PARTITION)
    assert state is not None
    assert (state.floor, state.snapshot_open) == (20, True)
    assert target.destination.metadata.repartition(REF, 1, 2, "8230")
    with target.destination.transaction() as transaction:
        other = transaction.lock_partition(Partition(*REF, 1, 2))
    assert other is not None
    assert other.floor == 20


def test_what_was_read_before_the_replacement_is_not_loaded(target: DestinationBench) -> None:
    shape = _replaced(target, 20)
    assert load(target, shape, 19, "a", "e", v=2).stale == 2
    assert load(target, shape, 20, "a", "e", v=2).upserted == 2
    assert shown(target) == {"a": 2, "b": 1, "c": 1, "d": 1, "e": 2}


def test_rows_that_the_snapshot_did_not_meet_are_swept(target: DestinationBench) -> None:
    shape = _replaced(target, 20)
    load(target, shape, 20, "a", v=2)
    upsert(target, shape, 25, "b", v=2)
    _finish(target)
    assert _sweep(target) == 2
    assert shown(target) == {"a": 2, "b": 2}
    assert _sweep(target) == 0
    assert target.destination.metadata.close_snapshot(REF)


def test_rows_are_swept_a_few_at_a_time(target: DestinationBench) -> None:
    _replaced(target, 20)
    _finish(target)
    assert [_sweep(target, 3), _sweep(target, 3), _sweep(target, 3)] == [3, 1, 0]
    assert shown(target) == {}


def test_swept_rows_of_a_table_with_soft_deletes_are_marked(target: DestinationBench) -> None:
    shape = _replaced(target, 20, soft=True)
    delete(target, shape, 15, "a", soft=True)
    load(target, shape, 21, "b", v=2)
    _finish(target)
    assert _sweep(target, soft=True) == 2
    assert _sweep(target, soft=True) == 0
    assert target.states(REF) == {"a": (15, True), "b": (21, False), "c": (20, True), "d": (20, True)}
    assert shown(target) == {"b": 2}


def test_nothing_is_swept_before_everything_is_loaded(target: DestinationBench) -> None:
    _replaced(target, 20)
    assert _sweep(target) == 0
    assert shown(target).keys() == {"a", "b", "c", "d"}


def test_nothing_is_swept_once_the_table_is_replaced_again(target: DestinationBench) -> None:
    """A scheduler saw that all was loaded, and sweeps when another snapshot is planned already."""
    shape = _replaced(target, 20)
    load(target, shape, 21, "a", "b", "c", "d")
    _finish(target)
    assert _replace(target, 30)
    assert _sweep(target) == 0
    assert shown(target).keys() == {"a", "b", "c", "d"}
    assert not target.destination.metadata.close_snapshot(REF)
    _plan(target)
    assert _sweep(target) == 0
    assert not target.destination.metadata.close_snapshot(REF)


def test_nothing_is_swept_from_a_table_that_was_never_replaced(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 10, "a")
    _finish(target)
    assert _sweep(target) == 0
    assert shown(target) == {"a": 1}


def test_rows_that_were_kept_are_not_swept(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 10, "kept")
    assert target.destination.drop(REF, 15, OnDrop.KEEP, soft=False, cause="drop")
    upsert(target, shape, 18, "replaced")
    assert _replace(target, 20)
    _plan(target)
    load(target, shape, 21, "new")
    _finish(target)
    assert _sweep(target) == 1
    assert target.states(REF).keys() == {"kept", "new"}
    assert (shown(target), target.destination.kept(REF)) == ({"new": 1}, 1)


def test_nothing_is_swept_from_a_replaced_table_that_was_dropped_and_kept(target: DestinationBench) -> None:
    shape = _replaced(target, 20)
    load(target, shape, 21, "a")
    assert target.destination.drop(REF, 30, OnDrop.KEEP, soft=False, cause="drop")
    _finish(target)
    assert _sweep(target) == 0
    assert target.destination.kept(REF) == 4


def test_a_drop_before_the_replacement_changes_nothing_any_more(target: DestinationBench) -> None:
    _replaced(target, 20)
    for on_drop in OnDrop:
        assert not target.destination.drop(REF, 19, on_drop, soft=False, cause="drop")
    assert (table_state(target).snapshot, len(shown(target))) == (SnapshotState.LOADING, 4)


def test_a_delete_after_the_replacement_leaves_a_tombstone_for_its_snapshot(target: DestinationBench) -> None:
    shape = _replaced(target, 20)
    with target.destination.transaction() as transaction:
        state = transaction.lock_partition(PARTITION)
    assert state is not None
    delete(target, shape, 25, "a", tombstones=state.snapshot_open)
    assert load(target, shape, 22, "a", "b", v=2).stale == 1
    assert "a" not in shown(target)


def test_nothing_can_be_applied_to_a_blocked_table_until_somebody_succeeds(target: DestinationBench) -> None:
    make_table(target)
    metadata: Metadata = target.destination.metadata
    assert metadata.blocked("shop") == set()
    metadata.block(REF, "the table was altered", "alter it back")
    metadata.block(REF, "another reason", None)
    metadata.block(TableRef("shop", "unknown"), "whatever", None)
    assert (metadata.blocked("shop"), metadata.blocked("elsewhere")) == ({"orders"}, set())
    block = table_state(target).blocked
    assert block is not None
    assert (block.reason, block.remedy) == ("the table was altered", "alter it back")
    with target.destination.transaction() as transaction:
        state = transaction.lock_partition(PARTITION)
        assert state is not None
        assert state.blocked
        transaction.unblock(REF)
    assert metadata.blocked("shop") == set()
    assert table_state(target).blocked is None
    with target.destination.transaction() as transaction:
        state = transaction.lock_partition(PARTITION)
    assert state is not None
    assert not state.blocked
