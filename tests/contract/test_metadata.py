"""The contract of the metadata store: `warp.metadata.base`."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.contract.destinations import DestinationBench
from warp.change import Key, KeyKind, Operation, Partition, TableRef
from warp.errors import Fatal, Transient
from warp.metadata.base import DeadLetter, SnapshotState
from warp.sources.base import Chunk, SourceTable, StreamPoint

ORDERS, CARTS = TableRef("shop", "orders"), TableRef("shop", "carts")
TABLES = [SourceTable(name="orders", documents=70, size_bytes=1), SourceTable(name="carts", documents=3, size_bytes=1)]
START = StreamPoint(position="8210", ts=16)


def _begin(target: DestinationBench) -> None:
    target.destination.metadata.begin_schema("shop", START, TABLES, {"orders": 2, "carts": 1})


def _advance(target: DestinationBench, partition: Partition, position: str) -> None:
    with target.destination.transaction() as transaction:
        assert transaction.lock_partition(partition)
        transaction.advance(partition, position, 1, 1)


def _checkpoint(target: DestinationBench) -> tuple[StreamPoint, int]:
    state = target.destination.metadata.schema("shop")
    assert state is not None
    return state.checkpoint, state.source_ts


def test_a_schema_has_no_state_before_it_is_begun(target: DestinationBench) -> None:
    metadata = target.destination.metadata
    assert metadata.schema("shop") is None
    assert (metadata.tables("shop"), metadata.markers("shop"), metadata.partitions("shop")) == ([], {}, {})


def test_a_schema_begins_with_a_snapshot_of_each_table_planned(target: DestinationBench) -> None:
    metadata = target.destination.metadata
    state = metadata.begin_schema("shop", START, TABLES, {"orders": 2, "carts": 1})
    assert (state.name, state.start_ts, state.checkpoint) == ("shop", START.ts, START)
    assert state.checkpointed_at.tzinfo is not None
    assert metadata.schema("shop") == state
    assert [(table.ref, table.partitions, table.snapshot) for table in metadata.tables("shop")] == [
        (CARTS, 1, SnapshotState.PLANNED),
        (ORDERS, 2, SnapshotState.PLANNED),
    ]
    assert [table.documents_estimate for table in metadata.tables("shop")] == [3, 70]
    assert metadata.partitions("shop") == {"orders": 2, "carts": 1}
    assert metadata.tables("elsewhere") == []


def test_the_first_beginning_stands(target: DestinationBench) -> None:
    _begin(target)
    other = SourceTable(name="late", documents=1, size_bytes=1)
    again = target.destination.metadata.begin_schema("shop", StreamPoint(position="8220", ts=32), [other], {"late": 1})
    assert (again.start_ts, again.checkpoint) == (START.ts, START)
    assert set(target.destination.metadata.partitions("shop")) == {"orders", "carts"}


def test_a_checkpoint_moves_on_and_never_back(target: DestinationBench) -> None:
    _begin(target)
    later, earlier = StreamPoint(position="8230", ts=48), StreamPoint(position="8220", ts=32)
    target.destination.metadata.save_checkpoint("shop", later, 50)
    assert _checkpoint(target) == (later, 50)
    target.destination.metadata.save_checkpoint("shop", earlier, 40)
    assert _checkpoint(target) == (later, 50)


def test_saving_a_checkpoint_again_says_that_it_still_holds(target: DestinationBench) -> None:
    _begin(target)
    first = target.destination.metadata.schema("shop")
    target.destination.metadata.save_checkpoint("shop", START, START.ts)
    again = target.destination.metadata.schema("shop")
    assert first is not None
    assert again is not None
    assert again.checkpointed_at > first.checkpointed_at


def test_markers_are_of_the_partitions_that_have_been_begun(target: DestinationBench) -> None:
    _begin(target)
    _advance(target, Partition(*ORDERS, 1, 2), "8211")
    assert target.destination.metadata.markers("shop") == {Partition(*ORDERS, 1, 2): "8211"}
    assert target.destination.metadata.markers("elsewhere") == {}


def test_tables_that_the_stream_brings_have_nothing_to_load(target: DestinationBench) -> None:
    _begin(target)
    target.destination.metadata.add_tables("shop", {"late": 3, "orders": 9})
    assert target.destination.metadata.partitions("shop") == {"orders": 2, "carts": 1, "late": 3}
    late = next(table for table in target.destination.metadata.tables("shop") if table.ref.table == "late")
    assert (late.snapshot, late.snapshot.open) == (SnapshotState.NONE, False)
    target.destination.metadata.add_tables("shop", {})


@pytest.mark.parametrize("after", [1, 3])
def test_all_partitions_stand_at_one_position_after_a_change_of_their_number(
    target: DestinationBench, after: int
) -> None:
    _begin(target)
    for number, position in ((0, "8211"), (1, "8213")):
        _advance(target, Partition(*ORDERS, number, 2), position)
    assert target.destination.metadata.repartition(ORDERS, 2, after, "8214")
    assert target.destination.metadata.partitions("shop")["orders"] == after
    markers = target.destination.metadata.markers("shop")
    assert {number: markers[Partition(*ORDERS, number, after)] for number in range(after)} == dict.fromkeys(
        range(after), "8214"
    )
    assert not any(partition.of == 2 for partition in markers), "a marker of another number of partitions is none"


@pytest.mark.parametrize(("before", "position"), [(2, "8212"), (3, "8214")])
def test_a_number_is_not_changed_by_one_who_is_behind(target: DestinationBench, before: int, position: str) -> None:
    _begin(target)
    _advance(target, Partition(*ORDERS, 0, 2), "8213")
    assert not target.destination.metadata.repartition(ORDERS, before, 4, position)
    assert target.destination.metadata.partitions("shop")["orders"] == 2
    assert target.destination.metadata.markers("shop") == {Partition(*ORDERS, 0, 2): "8213"}


def test_a_number_does_not_change_while_a_partition_is_being_applied(
    target: DestinationBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 50)
    _begin(target)
    with closing(target.another()) as other:
        for number in (0, 0, 1):  # with a marker that is being made, one that is there, and another
            with target.destination.transaction() as transaction:
                assert transaction.lock_partition(Partition(*ORDERS, number, 2))
                with pytest.raises(Transient):
                    other.metadata.repartition(ORDERS, 2, 4, "8299")
                transaction.advance(Partition(*ORDERS, number, 2), "8250", 1, 1)
        assert other.metadata.partitions("shop")["orders"] == 2


def test_chunks_open_a_planned_snapshot_once(target: DestinationBench) -> None:
    _begin(target)
    metadata = target.destination.metadata
    assert metadata.missing_chunks(ORDERS, 10) == []
    chunks = [Chunk(lower=None, upper=b"a"), Chunk(lower=b"a", upper=b"b"), Chunk(lower=b"b", upper=None)]
    assert metadata.add_chunks(ORDERS, iter(chunks)) == 3
    assert metadata.add_chunks(ORDERS, [Chunk(lower=None, upper=None)]) == 0
    (carts, orders) = metadata.tables("shop")
    assert (orders.snapshot, orders.chunks, carts.snapshot) == (SnapshotState.LOADING, 3, SnapshotState.PLANNED)
    assert orders.snapshot.open
    assert carts.snapshot.open
    missing = metadata.missing_chunks(ORDERS, 10)
    assert len(missing) == 3
    assert metadata.missing_chunks(ORDERS, 2) == missing[:2]
    with target.destination.transaction() as transaction:
        assert [transaction.lock_chunk(ORDERS, chunk) for chunk in missing] == chunks


def test_a_snapshot_closes_when_all_its_chunks_are_loaded(target: DestinationBench) -> None:
    _begin(target)
    metadata = target.destination.metadata
    assert not metadata.close_snapshot(ORDERS)
    metadata.add_chunks(ORDERS, [Chunk(lower=None, upper=b"a"), Chunk(lower=b"a", upper=None)])
    first, second = metadata.missing_chunks(ORDERS, 10)
    for chunk, left in ((first, [second]), (second, [])):
        assert not metadata.close_snapshot(ORDERS)
        with target.destination.transaction() as transaction:
            assert transaction.lock_chunk(ORDERS, chunk)
            transaction.finish_chunk(ORDERS, chunk)
        assert metadata.missing_chunks(ORDERS, 10) == left
    assert metadata.close_snapshot(ORDERS)
    assert not metadata.close_snapshot(ORDERS)
    orders = metadata.tables("shop")[1]
    assert (orders.snapshot, orders.snapshot.open, orders.chunks_loaded) == (SnapshotState.DONE, False, 2)
    assert metadata.tables("shop")[0].snapshot is SnapshotState.PLANNED


def test_an_error_is_kept_once_with_how_often_and_when_it_was_met(target: DestinationBench) -> None:
    metadata = target.destination.metadata
    metadata.log_error("shop", "orders", Fatal("no privilege"), "grant it", "c1")
    metadata.log_error("shop", None, ValueError("why"), None, None)
    metadata.log_error("elsewhere", "orders", Fatal("no privilege"), None, "c2")
    for correlation_id in ("c3", None):
        metadata.log_error("shop", "orders", Fatal("no privilege"), "grant it", correlation_id)
    kept, other = metadata.errors("shop", 10)
    assert (kept.schema, kept.table, kept.error_class, kept.error) == ("shop", "orders", "Fatal", "no privilege")
    assert (kept.remedy, kept.correlation_id, kept.occurrences) == ("grant it", "c3", 3)
    assert kept.first_at < kept.last_at
    assert (other.table, other.error_class, other.remedy, other.occurrences) == (None, "ValueError", None, 1)
    assert metadata.errors("shop", 1) == [kept]
    assert metadata.errors("nowhere", 10) == []


def test_an_error_that_is_noted_within_a_transaction_is_kept_with_it(target: DestinationBench) -> None:
    metadata = target.destination.metadata

    def note(times: int, *, gives_up: bool = False) -> None:
        with target.destination.transaction() as transaction:
            transaction.log_error(ORDERS, Fatal("no privilege", remedy="grant it"), times, f"c{times}")
            if gives_up:
                raise _GivesUp

    with pytest.raises(_GivesUp):
        note(4, gives_up=True)
    assert metadata.errors("shop", 10) == []
    note(2)
    note(3)
    [kept] = metadata.errors("shop", 10)
    assert (kept.table, kept.error_class, kept.error, kept.remedy) == ("orders", "Fatal", "no privilege", "grant it")
    assert (kept.correlation_id, kept.occurrences) == ("c3", 5)


class _GivesUp(Exception):
    pass


def test_the_errors_of_dead_letters_are_kept_with_them(target: DestinationBench) -> None:
    _begin(target)

    def park(*positions: str) -> None:
        with target.destination.transaction() as transaction:
            transaction.park([_letter(position) for position in positions])

    park("01", "02")
    park("03")
    [kept] = target.destination.metadata.errors("shop", 10)
    assert (kept.table, kept.error_class, kept.error, kept.remedy) == ("orders", "Poison", "too large", "shrink it")
    assert (kept.correlation_id, kept.occurrences) == ("c03", 3)


def _letter(position: str) -> DeadLetter:
    return DeadLetter(
        ref=ORDERS,
        key=Key(KeyKind.STRING, position),
        operation=Operation.INSERT,
        position=position,
        ts=1,
        payload=b"x",
        error_class="Poison",
        error="too large",
        remedy="shrink it",
        traceback="",
        correlation_id=f"c{position}",
    )


def test_a_table_is_excluded_once_and_its_load_given_up(target: DestinationBench) -> None:
    metadata = target.destination.metadata
    _begin(target)
    metadata.add_chunks(ORDERS, [Chunk(lower=None, upper=None)])
    metadata.block(ORDERS, "why", None)
    assert metadata.excluded("shop") == set()

    assert [metadata.exclude(ORDERS), metadata.exclude(ORDERS)] == [True, False]
    assert metadata.exclude(TableRef("shop", "never met"))

    assert (metadata.excluded("shop"), metadata.excluded("elsewhere")) == ({"orders", "never met"}, set())
    _, orders = metadata.tables("shop")
    assert (orders.snapshot, orders.chunks, orders.blocked) == (SnapshotState.DONE, 0, None)
    assert metadata.missing_chunks(ORDERS, 1) == []


def test_a_table_is_included_again(target: DestinationBench) -> None:
    metadata = target.destination.metadata
    _begin(target)
    metadata.exclude(ORDERS)
    metadata.include(ORDERS)
    metadata.include(CARTS)
    assert metadata.excluded("shop") == set()
    assert metadata.exclude(ORDERS)
