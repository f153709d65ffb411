"""The contract of destinations: a row never goes back in time (`warp.destinations.base`)."""

from __future__ import annotations

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import (
    REF,
    delete,
    key,
    load,
    make_table,
    shown,
    upsert,
)
from warp.change import Delete, Write, cluster_time
from warp.destinations.base import Written
from warp.errors import Poison


def test_a_write_makes_the_row_or_renews_it(target: DestinationBench) -> None:
    shape = make_table(target)
    assert upsert(target, shape, 10, "a", "b", v=1) == Written(upserted=2)
    assert upsert(target, shape, 11, "b", "c", v=2) == Written(upserted=2)
    assert shown(target) == {"a": 1, "b": 2, "c": 2}


def test_a_write_that_is_older_than_its_row_changes_nothing(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 10, "a", v=1)
    assert upsert(target, shape, 9, "a", "b", v=2) == Written(upserted=1, stale=1)
    assert shown(target) == {"a": 1, "b": 2}


def test_a_later_change_of_the_same_time_wins(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 10, "a", v=1)
    assert upsert(target, shape, 10, "a", v=2) == Written(upserted=1)
    assert shown(target) == {"a": 2}


def test_writing_anything_again_changes_nothing(target: DestinationBench) -> None:
    shape = make_table(target)
    for _ in range(3):
        load(target, shape, 5, "a", "b", "c", v=1)
        upsert(target, shape, 10, "a", "b", v=2)
        delete(target, shape, 11, "b", tombstones=True)
        load(target, shape, 5, "a", "b", "c", v=1)
        assert shown(target) == {"a": 2, "c": 1}


def test_a_row_of_a_snapshot_loses_against_a_row_of_its_own_time(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 10, "same", "newer", v=1)
    upsert(target, shape, 9, "older", v=1)
    assert load(target, shape, 10, "same", "older", "none", v=2) == Written(upserted=2, stale=1)
    assert load(target, shape, 9, "newer", v=2) == Written(stale=1)
    assert shown(target) == {"same": 1, "newer": 1, "older": 2, "none": 2}


def test_a_row_of_a_snapshot_loses_against_a_tombstone_of_its_own_time(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 3, "a", v=1)
    assert delete(target, shape, 10, "a", "never there", tombstones=True) == Written(deleted=1, stale=1)
    delete(target, shape, 8, "a", tombstones=True)
    assert load(target, shape, 10, "a", "never there", "b", v=2) == Written(upserted=1, stale=2)
    assert load(target, shape, 11, "a", v=2) == Written(upserted=1)
    assert shown(target) == {"a": 2, "b": 2}


def test_changes_of_the_stream_do_not_mind_tombstones(target: DestinationBench) -> None:
    shape = make_table(target)
    delete(target, shape, 10, "a", tombstones=True)
    assert upsert(target, shape, 10, "a") == Written(upserted=1)


def test_a_delete_without_tombstones_leaves_none(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 3, "a")
    delete(target, shape, 10, "a")
    assert target.tombstones(REF) == 0
    assert load(target, shape, 5, "a") == Written(upserted=1)


def test_tombstones_go_with_the_snapshot_and_none_come_after_it(target: DestinationBench) -> None:
    shape = make_table(target)
    delete(target, shape, 10, "a", "b", tombstones=True)
    assert target.tombstones(REF) == 2
    for chunk in (1, 2):
        with target.destination.transaction() as transaction:
            transaction.lock_chunk(REF, chunk)
            transaction.finish_chunk(REF, chunk)
    assert target.destination.metadata.close_snapshot(REF)
    assert target.tombstones(REF) == 0
    delete(target, shape, 11, "a", tombstones=True)
    assert target.tombstones(REF) == 0


def test_a_delete_that_is_older_than_the_row_changes_nothing(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 10, "newer", "same", "older")
    assert delete(target, shape, 9, "newer") == Written(stale=1)
    assert delete(target, shape, 10, "same") == Written(deleted=1)
    assert delete(target, shape, 11, "older", "none") == Written(deleted=1, stale=1)
    assert shown(target) == {"newer": 1}


def test_a_soft_delete_hides_the_row_until_it_is_written_again(target: DestinationBench) -> None:
    shape = make_table(target, soft=True)
    stamp = cluster_time(1_700_000_000, 1)
    upsert(target, shape, stamp, "a", "b")
    assert delete(target, shape, stamp + 1, "a", soft=True) == Written(deleted=1)
    assert shown(target) == {"b": 1}
    assert target.destination.rows(REF, [key("a")]) == {}
    assert upsert(target, shape, stamp, "a") == Written(stale=1), "the row still knows when it was deleted"
    assert delete(target, shape, stamp + 2, "a", soft=True) == Written(stale=1)
    assert upsert(target, shape, stamp + 3, "a", v=2) == Written(upserted=1)
    assert shown(target) == {"a": 2, "b": 1}


def test_a_soft_delete_that_is_older_than_the_row_changes_nothing(target: DestinationBench) -> None:
    shape = make_table(target, soft=True)
    upsert(target, shape, 10, "a")
    assert delete(target, shape, 9, "a", soft=True) == Written(stale=1)
    assert shown(target) == {"a": 1}


def test_poison_writes_nothing_of_its_call_and_the_transaction_goes_on(target: DestinationBench) -> None:
    shape = make_table(target)
    poison = target.poison_key()
    with target.destination.transaction() as transaction:
        transaction.upsert(REF, shape, [Write(key("before"), 1, {"v": 1})])
        for write in (transaction.upsert, transaction.load):
            with pytest.raises(Poison):
                write(REF, shape, [Write(key("with it"), 1, {"v": 1}), Write(poison, 1, {"v": 1})])
        transaction.upsert(REF, shape, [Write(key("after"), 1, {"v": 1})])
    assert shown(target) == {"before": 1, "after": 1}


def test_poison_says_nothing_of_the_document(target: DestinationBench) -> None:
    shape = make_table(target)
    poison = target.poison_key()
    with target.destination.transaction() as transaction, pytest.raises(Poison) as raised:
        transaction.upsert(REF, shape, [Write(poison, 1, {"v": 1})])
    assert poison.text[:20] not in str(raised.value)


@pytest.mark.parametrize("tombstones", [False, True])
def test_deleting_what_could_never_be_stored_deletes_nothing(target: DestinationBench, tombstones: bool) -> None:
    shape = make_table(target)
    poison = target.poison_key()
    with target.destination.transaction() as transaction:
        deletes = [Delete(poison, 1)]
        assert transaction.delete(REF, shape, deletes, soft=False, tombstones=tombstones) == Written(stale=1)


def test_empty_calls_do_nothing(target: DestinationBench) -> None:
    shape = make_table(target)
    with target.destination.transaction() as transaction:
        assert transaction.upsert(REF, shape, []) == Written()
        assert transaction.load(REF, shape, []) == Written()
        assert transaction.delete(REF, shape, [], soft=False, tombstones=True) == Written()
