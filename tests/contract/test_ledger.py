"""The contract of destinations: values kept in `_extra` are counted, and the counts commit with the values."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import PARTITION, REF, make_table
from warp.change import Partition
from warp.destinations.base import Destination, OnDrop
from warp.metadata.base import LEDGER_FIELDS, LEDGER_NAME_BYTES, KeptValues

ODD = {("", "null"): 1, ("a\0b", "no_column"): 2, ("\udcff", "does_not_fit"): 3, ("$utf8:61", "null"): 4}


class _Abort(Exception):
    pass


def _ledger(destination: Destination) -> list[KeptValues]:
    return destination.metadata.kept_values(REF.schema).get(REF.table, [])


def _counts(destination: Destination) -> dict[tuple[str | None, str], int]:
    return {(each.field, each.reason): each.values for each in _ledger(destination)}


def _count(destination: Destination, kept: Mapping[tuple[str, str], int], partition: Partition = PARTITION) -> None:
    with destination.transaction() as transaction:
        assert transaction.lock_partition(partition)
        transaction.count_kept(REF, kept)


def _count_loaded(destination: Destination, kept: Mapping[tuple[str, str], int], chunk: int) -> None:
    with destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, chunk)
        transaction.count_kept(REF, kept)


def test_steps_loads_and_workers_add_up_by_field_and_reason(target: DestinationBench) -> None:
    make_table(target)
    with closing(target.another()) as other:
        _count(target.destination, {("v", "null"): 2, ("v", "does_not_fit"): 1, ("w", "null"): 1})
        _count(other, {("v", "null"): 40, ("x", "no_column"): 1}, Partition(*REF, 1, 2))
        _count(other, {})
        _count_loaded(target.destination, {("v", "null"): 300}, 1)
        _count_loaded(other, {("v", "null"): 5000}, 2)
        assert _counts(other) == _counts(target.destination)
    expected = {("v", "null"): 5342, ("v", "does_not_fit"): 1, ("w", "null"): 1, ("x", "no_column"): 1}
    assert _counts(target.destination) == expected
    assert next(iter(_counts(target.destination))) == ("v", "null"), "the most frequent comes first"
    assert target.destination.metadata.kept_values("elsewhere") == {}


def test_what_is_rolled_back_is_not_counted(target: DestinationBench) -> None:
    make_table(target)
    _count(target.destination, {("v", "null"): 1})

    def roll_back() -> None:
        with target.destination.transaction() as transaction:
            transaction.lock_partition(PARTITION)
            transaction.count_kept(REF, {("v", "null"): 1, ("w", "null"): 1})
            raise _Abort

    with pytest.raises(_Abort):
        roll_back()
    assert _counts(target.destination) == {("v", "null"): 1}


def test_partitions_and_chunks_count_at_once_without_waiting(target: DestinationBench) -> None:
    make_table(target)
    _count(target.destination, {("v", "null"): 1})
    _count(target.destination, {("v", "null"): 1}, Partition(*REF, 1, 2))
    with (
        closing(target.another()) as other,
        closing(target.another()) as third,
        target.destination.transaction() as transaction,
    ):
        transaction.lock_partition(PARTITION)
        transaction.count_kept(REF, {("v", "null"): 1, ("new", "null"): 1})
        _count(other, {("v", "null"): 1, ("new", "null"): 1}, Partition(*REF, 1, 2))
        _count_loaded(third, {("v", "null"): 1, ("new", "null"): 1}, 1)
    assert _counts(target.destination) == {("v", "null"): 5, ("new", "null"): 3}


def test_names_that_no_text_holds_come_back(target: DestinationBench) -> None:
    make_table(target)
    _count(target.destination, ODD)
    assert _counts(target.destination) == ODD


def test_fields_beyond_a_number_are_counted_together(target: DestinationBench) -> None:
    make_table(target)
    fields = [f"f{number}" for number in range(LEDGER_FIELDS + 7)]
    _count(target.destination, {(field, "no_column"): 1 for field in fields[:10]})
    _count(target.destination, {(field, "no_column"): 1 for field in fields})
    _count(target.destination, {(field, "null"): 1 for field in fields[-7:]}, Partition(*REF, 1, 2))
    counts = _counts(target.destination)
    assert len({field for field, _ in counts if field is not None}) == LEDGER_FIELDS
    assert (counts["f9", "no_column"], counts[None, "no_column"], counts[None, "null"]) == (2, 7, 7)
    assert sum(counts.values()) == 10 + len(fields) + 7


def test_fields_with_very_long_names_are_counted_together(target: DestinationBench) -> None:
    make_table(target)
    longest, longer = "x" * LEDGER_NAME_BYTES, "x" * (LEDGER_NAME_BYTES + 1)
    _count(target.destination, {(longest, "null"): 1, (longer, "null"): 2, ("y" * 100_000, "null"): 3})
    assert _counts(target.destination) == {(longest, "null"): 1, (None, "null"): 5}


def test_the_time_of_the_first_value_stays(target: DestinationBench) -> None:
    make_table(target)
    _count(target.destination, {("v", "null"): 1})
    [first] = _ledger(target.destination)
    _count(target.destination, {("v", "null"): 1})
    [second] = _ledger(target.destination)
    assert first.first_at == first.last_at == second.first_at < second.last_at


@pytest.mark.parametrize("on_drop", OnDrop)
def test_counts_go_with_the_table(target: DestinationBench, on_drop: OnDrop) -> None:
    make_table(target)
    _count(target.destination, {("v", "null"): 1})
    target.destination.drop(REF, 9, on_drop, soft=False, cause="drop")
    assert _counts(target.destination) == ({} if on_drop is OnDrop.DROP else {("v", "null"): 1})
