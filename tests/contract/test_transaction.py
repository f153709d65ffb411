"""The contract of destinations: rows and progress commit together, under locks (`warp.destinations.base`)."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import (
    PARTITION,
    REF,
    key,
    letter,
    make_table,
    shown,
    table_state,
    upsert,
)
from warp.change import BEGINNING, Delete, Partition, Write
from warp.destinations.base import PartitionState, Transaction
from warp.sources.base import Chunk


class _Abort(Exception):
    pass


def test_everything_of_a_transaction_commits_or_nothing(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 1, "old")

    def work(transaction: Transaction) -> None:
        transaction.lock_partition(PARTITION)
        transaction.upsert(REF, shape, [Write(key("new"), 5, {"v": 5})])
        transaction.delete(REF, shape, [Delete(key("old"), 5)], soft=False, tombstones=True)
        transaction.advance(PARTITION, "8205", 5, 2)
        transaction.park([letter("8204")])
        transaction.lock_chunk(REF, 1)
        transaction.shrink_chunk(REF, 1, b"f", 10, first=b"a")
        transaction.finish_chunk(REF, 1)

    def roll_back() -> None:
        with target.destination.transaction() as transaction:
            work(transaction)
            raise _Abort

    with pytest.raises(_Abort):
        roll_back()
    assert shown(target) == {"old": 1}
    assert (target.tombstones(REF), target.destination.metadata.markers("shop").get(PARTITION, "")) == (0, "")
    state = table_state(target)
    assert (state.changes_applied, state.open_letters, state.chunks_loaded, state.rows_loaded) == (0, 0, 0, 0)
    with target.destination.transaction() as transaction:
        work(transaction)
    assert shown(target) == {"new": 5}
    assert (target.tombstones(REF), target.destination.metadata.markers("shop")[PARTITION]) == (1, "8205")
    state = table_state(target)
    assert (state.changes_applied, state.open_letters, state.chunks_loaded, state.rows_loaded) == (2, 1, 1, 10)


def test_nobody_sees_what_is_not_committed(target: DestinationBench) -> None:
    shape = make_table(target)
    with closing(target.another()) as other:
        with target.destination.transaction() as transaction:
            transaction.lock_partition(PARTITION)
            transaction.upsert(REF, shape, [Write(key("a"), 1, {"v": 1})])
            transaction.advance(PARTITION, "8201", 1, 1)
            assert other.count(REF) == 0
            assert other.metadata.markers("shop").get(PARTITION, BEGINNING) == BEGINNING
        assert other.count(REF) == 1
        assert other.metadata.markers("shop")[PARTITION] == "8201"


def test_one_transaction_at_a_time_has_a_partition(target: DestinationBench) -> None:
    make_table(target)
    with closing(target.another()) as other:
        with other.transaction() as before:
            assert before.lock_partition(PARTITION) is not None
        with target.destination.transaction() as transaction, other.transaction() as another:
            assert transaction.lock_partition(PARTITION) is not None
            assert another.lock_partition(PARTITION) is None
            assert another.lock_partition(Partition(*REF, 1, 1)) is not None
        with other.transaction() as after:
            assert after.lock_partition(PARTITION) is not None


def test_a_partition_that_was_moved_and_not_committed_is_not_waited_for(target: DestinationBench) -> None:
    make_table(target)
    with target.destination.transaction() as before:
        before.lock_partition(PARTITION)
    with (
        closing(target.another()) as other,
        target.destination.transaction() as transaction,
        other.transaction() as another,
    ):
        assert transaction.lock_partition(PARTITION) is not None
        transaction.advance(PARTITION, "8203", 3, 1)
        assert another.lock_partition(PARTITION) is None


def test_one_transaction_at_a_time_has_a_partition_that_is_new(target: DestinationBench) -> None:
    make_table(target)
    with (
        closing(target.another()) as other,
        target.destination.transaction() as transaction,
        other.transaction() as another,
    ):
        assert transaction.lock_partition(PARTITION) is not None
        assert another.lock_partition(PARTITION) is None


def test_a_partition_goes_on_where_it_was_advanced_to(target: DestinationBench) -> None:
    make_table(target)
    for position, ts, following in (("", 0, "8203"), ("8203", 10, "8207"), ("8207", 20, "8205")):
        with target.destination.transaction() as transaction:
            assert transaction.lock_partition(PARTITION) == PartitionState(
                position=position, partitions=1, snapshot_open=True, ts=ts
            )
            transaction.advance(PARTITION, following, ts + 10, 4)
    assert target.destination.metadata.markers("shop")[PARTITION] == "8207", "a marker never goes back"
    assert table_state(target).changes_applied == 8


def test_a_partition_of_a_table_that_nobody_noted_is_noted(target: DestinationBench) -> None:
    partition = Partition("shop", "late", 2, 3)
    with target.destination.transaction() as transaction:
        assert transaction.lock_partition(partition) == PartitionState(position="", partitions=3, snapshot_open=False)
    assert target.destination.metadata.partitions("shop") == {"late": 3}


def test_a_partition_says_of_how_many_it_is_one_now(target: DestinationBench) -> None:
    make_table(target)
    with target.destination.transaction() as transaction:
        transaction.lock_partition(PARTITION)
        transaction.advance(PARTITION, "8203", 7, 1)
    target.destination.metadata.repartition(REF, 1, 3, "8205")
    for number in range(3):
        with target.destination.transaction() as transaction:
            state = transaction.lock_partition(PARTITION._replace(number=number))
        assert state == PartitionState(position="8205", partitions=3, snapshot_open=True, ts=7)


def test_one_transaction_at_a_time_has_a_chunk(target: DestinationBench) -> None:
    make_table(target)
    with (
        closing(target.another()) as other,
        target.destination.transaction() as transaction,
        other.transaction() as another,
    ):
        assert transaction.lock_chunk(REF, 1) == Chunk(lower=None, upper=b"m")
        assert another.lock_chunk(REF, 1) is None
        assert another.lock_chunk(REF, 2) == Chunk(lower=b"m", upper=None)
        assert another.lock_chunk(REF, 3) is None


def test_a_chunk_shrinks_as_it_is_loaded_and_is_not_loaded_again(target: DestinationBench) -> None:
    make_table(target)
    for rows, first, lower in ((3, b"a", b"c"), (2, b"c", b"e"), (3, b"f", b"g"), (1, b"g", b"g")):
        with target.destination.transaction() as transaction:
            transaction.lock_chunk(REF, 1)
            transaction.shrink_chunk(REF, 1, lower, rows, first=first)
    with target.destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, 1) == Chunk(lower=b"g", upper=b"m")
        transaction.finish_chunk(REF, 1)
    with target.destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, 1) is None
        transaction.lock_chunk(REF, 2)
        transaction.shrink_chunk(REF, 2, b"n", 4, first=b"m")
    state = table_state(target)
    assert (state.chunks, state.chunks_loaded, state.rows_loaded) == (2, 1, 3 + 1 + 3 + 0 + 4)


def test_a_chunk_of_a_snapshot_that_is_closed_is_not_loaded(target: DestinationBench) -> None:
    make_table(target)
    for chunk in (1, 2):
        with target.destination.transaction() as transaction:
            transaction.lock_chunk(REF, chunk)
            transaction.finish_chunk(REF, chunk)
    assert target.destination.metadata.close_snapshot(REF)
    with target.destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, 1) is None
        state = transaction.lock_partition(PARTITION)
    assert state is not None
    assert not state.snapshot_open


def test_a_change_is_parked_once(target: DestinationBench) -> None:
    make_table(target)
    for _ in range(2):
        with target.destination.transaction() as transaction:
            transaction.park([letter("8201"), letter("8202", key("another"))])
            transaction.park([])
    assert table_state(target).open_letters == 2
    with target.destination.transaction() as transaction:
        transaction.park([letter("", key("a")), letter("", key("b"))])
    assert table_state(target).open_letters == 4
