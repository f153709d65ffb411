"""The contract of destinations: `warp.destinations.base`."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from tests.contract.destinations import DestinationBench
from tests.support.wait import eventually
from warp.change import BEGINNING, Delete, Key, KeyKind, Operation, Partition, Record, TableRef, Write, cluster_time
from warp.destinations.base import Destination, PartitionState, Transaction, Written, merged
from warp.errors import Fatal, Poison, Transient
from warp.evolution.decide import Decision
from warp.evolution.infer import Seen
from warp.evolution.shape import Shape
from warp.metadata.base import DeadLetter, TableState
from warp.sources.base import Chunk, SourceTable, StoredJson, StreamPoint
from warp.testing.documents import JsonStructured
from warp.values import Kind, ObjectIdText, Opaque, Structured, Value

REF = TableRef("shop", "orders")
PARTITION = Partition(*REF, 0, 1)
START = StreamPoint(position="82", ts=1)


def _key(name: object) -> Key:
    return Key(KeyKind.STRING, str(name))


def _seen(*records: Record, keys: Iterable[Key] = (_key("a"),)) -> Seen:
    seen = Seen()
    seen.add_keys(keys)
    seen.add_records(records, None)
    return seen


def _table(target: DestinationBench, *records: Record, soft: bool = False) -> Shape:
    """Make the table, for such records, with the snapshot of it open."""
    metadata = target.destination.metadata
    metadata.begin_schema(REF.schema, START, [SourceTable(name=REF.table, documents=1, size_bytes=1)], {REF.table: 1})
    metadata.add_chunks(REF, [Chunk(lower=None, upper=b"m"), Chunk(lower=b"m", upper=None)])
    return _evolve(target.destination, *records or ({"v": 1},), soft=soft).after


def _evolve(destination: Destination, *records: Record, soft: bool = False, keys: Iterable[Key] = ()) -> Decision:
    return destination.evolve(REF, _seen(*records, keys=keys or [_key("a")]), soft_delete=soft, cause="test")


def _upsert(target: DestinationBench, shape: Shape, ts: int, *names: str, v: Value = 1) -> Written:
    with target.destination.transaction() as transaction:
        return transaction.upsert(REF, shape, [Write(_key(name), ts, {"v": v}) for name in names])


def _load(target: DestinationBench, shape: Shape, ts: int, *names: str, v: Value = 1) -> Written:
    with target.destination.transaction() as transaction:
        return transaction.load(REF, shape, [Write(_key(name), ts, {"v": v}) for name in names])


def _delete(
    target: DestinationBench, shape: Shape, ts: int, *names: str, soft: bool = False, tombstones: bool = False
) -> Written:
    with target.destination.transaction() as transaction:
        deletes = [Delete(_key(name), ts) for name in names]
        return transaction.delete(REF, shape, deletes, soft=soft, tombstones=tombstones)


def _rows(target: DestinationBench, shape: Shape) -> dict[str, Any]:
    """What each row has in `v`, by the text of its key."""
    keys = [key for keys in target.destination.keys(REF, shape) for key in keys]
    assert target.destination.count(REF, shape) == len(keys)
    return {key.text: row["v"] for key, row in target.destination.rows(REF, shape, keys).items()}


def _state(target: DestinationBench) -> TableState:
    (state,) = target.destination.metadata.tables(REF.schema)
    return state


class _Abort(Exception):
    pass


def test_migrating_again_does_nothing(target: DestinationBench) -> None:
    assert list(target.destination.migrate()) == []
    target.destination.require_migrated()


def test_a_destination_that_was_not_migrated_says_what_to_do(target: DestinationBench) -> None:
    with closing(target.fresh()) as fresh:
        with pytest.raises(Fatal) as raised:
            fresh.require_migrated()
        assert raised.value.remedy == "run: cartridge-warp migrate"
        assert fresh.migrate()
        fresh.require_migrated()


def test_a_table_is_made_from_what_is_seen(target: DestinationBench) -> None:
    assert target.destination.tables("shop") == {}
    decision = _evolve(target.destination, {"v": 1, "text": "x", "nothing": None})
    assert (decision.before, decision.changes, decision.after.version) == (None, True, 1)
    assert {name: column.kind for name, column in decision.after.columns.items()} == {
        "v": Kind.INT,
        "text": Kind.STRING,
    }
    assert target.destination.tables("shop") == {"orders": decision.after}
    assert target.destination.tables("elsewhere") == {}


def test_a_shape_that_takes_what_is_seen_stays(target: DestinationBench) -> None:
    shape = _evolve(target.destination, {"v": 1}).after
    again = _evolve(target.destination, {"v": 2})
    assert (again.changes, again.after) == (False, shape)


def test_new_fields_become_new_columns_and_old_rows_keep_what_they_have(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 1, "a", v=1)
    wider = _evolve(target.destination, {"v": 1, "new": "x"}).after
    assert wider.version == 2
    assert list(wider.columns) == ["v", "new"]
    with target.destination.transaction() as transaction:
        assert transaction.shape(REF) == wider
        transaction.upsert(REF, wider, [Write(_key("b"), 1, {"v": 2, "new": "x"})])
    rows = target.destination.rows(REF, wider, [_key("a"), _key("b")])
    assert rows == {_key("a"): {"v": 1}, _key("b"): {"v": 2, "new": "x"}}


def test_a_key_of_another_kind_widens_the_key_and_stays_another_key(target: DestinationBench) -> None:
    number, text = Key(KeyKind.INT, "8"), _key("8")
    shape = _evolve(target.destination, {"v": 1}, keys=[number]).after
    with target.destination.transaction() as transaction:
        transaction.upsert(REF, shape, [Write(number, 1, {"v": 1})])
    wider = _evolve(target.destination, {"v": 1}, keys=[text]).after
    assert wider.mixed_keys
    with target.destination.transaction() as transaction:
        transaction.upsert(REF, wider, [Write(text, 1, {"v": 2})])
    assert target.destination.rows(REF, wider, [number, text]) == {number: {"v": 1}, text: {"v": 2}}
    assert {key for keys in target.destination.keys(REF, wider) for key in keys} == {number, text}


def test_workers_that_evolve_a_table_at_once_agree(target: DestinationBench) -> None:
    names = [f"field{number}" for number in range(6)]
    shapes: list[Shape] = []

    def work(name: str) -> None:
        with closing(target.destination.clone()) as clone:
            shapes.append(_evolve(clone, {name: 1, "v": 1}).after)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(shape.version for shape in shapes) == [1, 2, 3, 4, 5, 6]
    assert target.destination.tables("shop")["orders"] == max(shapes, key=lambda shape: shape.version)
    assert set(target.destination.tables("shop")["orders"].columns) == {*names, "v"}


def test_there_is_no_shape_before_there_is_a_table(target: DestinationBench) -> None:
    with target.destination.transaction() as transaction:
        assert transaction.shape(REF) is None


def test_a_shape_stands_still_until_the_transaction_ends(target: DestinationBench) -> None:
    shape = _table(target)
    evolved: list[Decision] = []

    def evolve() -> None:
        def done() -> bool:
            try:
                evolved.append(_evolve(other, {"new": 1}))
            except Transient:
                return False
            return True

        with closing(target.destination.clone()) as other:
            eventually(done)

    thread = threading.Thread(target=evolve)
    with target.destination.transaction() as transaction:
        assert transaction.shape(REF) == shape
        thread.start()
        transaction.upsert(REF, shape, [Write(_key("a"), 1, {"v": 1})])
        assert not evolved
    thread.join()
    assert evolved[0].before == shape
    assert _rows(target, evolved[0].after) == {"a": 1}


def test_a_write_makes_the_row_or_renews_it(target: DestinationBench) -> None:
    shape = _table(target)
    assert _upsert(target, shape, 10, "a", "b", v=1) == Written(upserted=2)
    assert _upsert(target, shape, 11, "b", "c", v=2) == Written(upserted=2)
    assert _rows(target, shape) == {"a": 1, "b": 2, "c": 2}


def test_a_write_that_is_older_than_its_row_changes_nothing(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 10, "a", v=1)
    assert _upsert(target, shape, 9, "a", "b", v=2) == Written(upserted=1, stale=1)
    assert _rows(target, shape) == {"a": 1, "b": 2}


def test_a_later_change_of_the_same_time_wins(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 10, "a", v=1)
    assert _upsert(target, shape, 10, "a", v=2) == Written(upserted=1)
    assert _rows(target, shape) == {"a": 2}


def test_a_write_is_a_whole_document(target: DestinationBench) -> None:
    shape = _table(target, {"v": 1, "text": "x"})
    first: Record = {"v": 1, "text": "x", "odd": Opaque(b'{"$minKey":1}', "bson_type")}
    second: Record = {"v": 2}
    for ts, record in ((1, first), (2, second)):
        with target.destination.transaction() as transaction:
            transaction.upsert(REF, shape, [Write(_key("a"), ts, record)])
    assert target.destination.rows(REF, shape, [_key("a")]) == {_key("a"): {"v": 2}}


def test_writing_anything_again_changes_nothing(target: DestinationBench) -> None:
    shape = _table(target)
    for _ in range(3):
        _load(target, shape, 5, "a", "b", "c", v=1)
        _upsert(target, shape, 10, "a", "b", v=2)
        _delete(target, shape, 11, "b", tombstones=True)
        _load(target, shape, 5, "a", "b", "c", v=1)
        assert _rows(target, shape) == {"a": 2, "c": 1}


def test_a_row_of_a_snapshot_loses_against_a_row_of_its_own_time(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 10, "same", "newer", v=1)
    _upsert(target, shape, 9, "older", v=1)
    assert _load(target, shape, 10, "same", "older", "none", v=2) == Written(upserted=2, stale=1)
    assert _load(target, shape, 9, "newer", v=2) == Written(stale=1)
    assert _rows(target, shape) == {"same": 1, "newer": 1, "older": 2, "none": 2}


def test_a_row_of_a_snapshot_loses_against_a_tombstone_of_its_own_time(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 3, "a", v=1)
    assert _delete(target, shape, 10, "a", "never there", tombstones=True) == Written(deleted=1, stale=1)
    _delete(target, shape, 8, "a", tombstones=True)
    assert _load(target, shape, 10, "a", "never there", "b", v=2) == Written(upserted=1, stale=2)
    assert _load(target, shape, 11, "a", v=2) == Written(upserted=1)
    assert _rows(target, shape) == {"a": 2, "b": 2}


def test_changes_of_the_stream_do_not_mind_tombstones(target: DestinationBench) -> None:
    shape = _table(target)
    _delete(target, shape, 10, "a", tombstones=True)
    assert _upsert(target, shape, 10, "a") == Written(upserted=1)


def test_a_delete_without_tombstones_leaves_none(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 3, "a")
    _delete(target, shape, 10, "a")
    assert target.tombstones(REF) == 0
    assert _load(target, shape, 5, "a") == Written(upserted=1)


def test_tombstones_go_with_the_snapshot_and_none_come_after_it(target: DestinationBench) -> None:
    shape = _table(target)
    _delete(target, shape, 10, "a", "b", tombstones=True)
    assert target.tombstones(REF) == 2
    for chunk in (1, 2):
        with target.destination.transaction() as transaction:
            transaction.lock_chunk(REF, chunk)
            transaction.finish_chunk(REF, chunk)
    assert target.destination.metadata.close_snapshot(REF)
    assert target.tombstones(REF) == 0
    _delete(target, shape, 11, "a", tombstones=True)
    assert target.tombstones(REF) == 0


def test_a_delete_that_is_older_than_the_row_changes_nothing(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 10, "newer", "same", "older")
    assert _delete(target, shape, 9, "newer") == Written(stale=1)
    assert _delete(target, shape, 10, "same") == Written(deleted=1)
    assert _delete(target, shape, 11, "older", "none") == Written(deleted=1, stale=1)
    assert _rows(target, shape) == {"newer": 1}


def test_a_soft_delete_hides_the_row_until_it_is_written_again(target: DestinationBench) -> None:
    shape = _table(target, soft=True)
    stamp = cluster_time(1_700_000_000, 1)
    _upsert(target, shape, stamp, "a", "b")
    assert _delete(target, shape, stamp + 1, "a", soft=True) == Written(deleted=1)
    assert _rows(target, shape) == {"b": 1}
    assert target.destination.rows(REF, shape, [_key("a")]) == {}
    assert _upsert(target, shape, stamp, "a") == Written(stale=1), "the row still knows when it was deleted"
    assert _delete(target, shape, stamp + 2, "a", soft=True) == Written(stale=1)
    assert _upsert(target, shape, stamp + 3, "a", v=2) == Written(upserted=1)
    assert _rows(target, shape) == {"a": 2, "b": 1}


def test_a_soft_delete_that_is_older_than_the_row_changes_nothing(target: DestinationBench) -> None:
    shape = _table(target, soft=True)
    _upsert(target, shape, 10, "a")
    assert _delete(target, shape, 9, "a", soft=True) == Written(stale=1)
    assert _rows(target, shape) == {"a": 1}


def test_a_table_can_be_given_soft_deletes_later(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 1, "a", "b")
    softer = _evolve(target.destination, {"v": 1}, soft=True).after
    assert softer.soft_delete
    _delete(target, softer, 2, "a", soft=True)
    assert _rows(target, softer) == {"b": 1}


def test_values_that_fit_come_back_from_columns_and_the_others_exactly(target: DestinationBench) -> None:
    record: Record = {
        "number": 1,
        "object": JsonStructured('{"a": [1]}'),
        "id": ObjectIdText("0123456789abcdef01234567"),
        "uuid": UUID(int=7),
        "text": "x\ty\\\n",
        "flag": False,
        "bytes": b"\x00\xff",
    }
    shape = _table(target, record)
    odd: Record = {
        "number": "text",
        "object": None,
        "text": 7,
        "flag": Opaque(b'{"$minKey":1}', "bson_type"),
        "late": 2**40,
    }
    with target.destination.transaction() as transaction:
        written = transaction.upsert(REF, shape, [Write(_key("a"), 1, record), Write(_key("b"), 1, odd)])
    assert written.kept == {
        ("number", "does_not_fit"): 1,
        ("object", "null"): 1,
        ("text", "does_not_fit"): 1,
        ("flag", "bson_type"): 1,
        ("late", "no_column"): 1,
    }
    rows = target.destination.rows(REF, shape, [_key("a"), _key("b")])
    fitting = dict(rows[_key("a")])
    stored = fitting.pop("object")
    assert isinstance(stored, StoredJson)
    assert stored.text.replace(" ", "") == '{"a":[1]}'
    assert fitting == {name: value for name, value in record.items() if not isinstance(value, Structured)}
    assert rows[_key("b")] == {
        "number": StoredJson('"text"'),
        "object": StoredJson("null"),
        "text": StoredJson('{"$numberLong":"7"}'),
        "flag": StoredJson('{"$minKey":1}'),
        "late": StoredJson(f'{{"$numberLong":"{2**40}"}}'),
    }


def test_keys_come_in_lists_and_rows_by_the_keys_asked_for(target: DestinationBench) -> None:
    shape = _table(target)
    names = [str(number) for number in range(50)]
    _upsert(target, shape, 1, *names)
    found = [key for keys in target.destination.keys(REF, shape) for key in keys]
    assert sorted(found) == sorted(map(_key, names))
    assert target.destination.count(REF, shape) == 50
    assert list(target.destination.rows(REF, shape, [_key("7"), _key("none")])) == [_key("7")]
    assert target.destination.rows(REF, shape, []) == {}


def test_everything_of_a_transaction_commits_or_nothing(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 1, "old")

    def work(transaction: Transaction) -> None:
        transaction.lock_partition(PARTITION)
        transaction.upsert(REF, shape, [Write(_key("new"), 5, {"v": 5})])
        transaction.delete(REF, shape, [Delete(_key("old"), 5)], soft=False, tombstones=True)
        transaction.advance(PARTITION, "8205", 5, 2)
        transaction.park([_letter("8204")])
        transaction.lock_chunk(REF, 1)
        transaction.shrink_chunk(REF, 1, b"f", 10)
        transaction.finish_chunk(REF, 1)

    def roll_back() -> None:
        with target.destination.transaction() as transaction:
            work(transaction)
            raise _Abort

    with pytest.raises(_Abort):
        roll_back()
    assert _rows(target, shape) == {"old": 1}
    assert (target.tombstones(REF), target.destination.metadata.markers("shop").get(PARTITION, "")) == (0, "")
    state = _state(target)
    assert (state.changes_applied, state.open_letters, state.chunks_loaded, state.rows_loaded) == (0, 0, 0, 0)
    with target.destination.transaction() as transaction:
        work(transaction)
    assert _rows(target, shape) == {"new": 5}
    assert (target.tombstones(REF), target.destination.metadata.markers("shop")[PARTITION]) == (1, "8205")
    state = _state(target)
    assert (state.changes_applied, state.open_letters, state.chunks_loaded, state.rows_loaded) == (2, 1, 1, 10)


def test_nobody_sees_what_is_not_committed(target: DestinationBench) -> None:
    shape = _table(target)
    with closing(target.destination.clone()) as other:
        with target.destination.transaction() as transaction:
            transaction.lock_partition(PARTITION)
            transaction.upsert(REF, shape, [Write(_key("a"), 1, {"v": 1})])
            transaction.advance(PARTITION, "8201", 1, 1)
            assert other.count(REF, shape) == 0
            assert other.metadata.markers("shop").get(PARTITION, BEGINNING) == BEGINNING
        assert other.count(REF, shape) == 1
        assert other.metadata.markers("shop")[PARTITION] == "8201"


def test_one_transaction_at_a_time_has_a_partition(target: DestinationBench) -> None:
    _table(target)
    with closing(target.destination.clone()) as other:
        with other.transaction() as before:
            assert before.lock_partition(PARTITION) is not None
        with target.destination.transaction() as transaction, other.transaction() as another:
            assert transaction.lock_partition(PARTITION) is not None
            assert another.lock_partition(PARTITION) is None
            assert another.lock_partition(Partition(*REF, 1, 1)) is not None
        with other.transaction() as after:
            assert after.lock_partition(PARTITION) is not None


def test_one_transaction_at_a_time_has_a_partition_that_is_new(target: DestinationBench) -> None:
    _table(target)
    with (
        closing(target.destination.clone()) as other,
        target.destination.transaction() as transaction,
        other.transaction() as another,
    ):
        assert transaction.lock_partition(PARTITION) is not None
        assert another.lock_partition(PARTITION) is None


def test_a_partition_goes_on_where_it_was_advanced_to(target: DestinationBench) -> None:
    _table(target)
    for position in ("", "8203", "8207"):
        with target.destination.transaction() as transaction:
            assert transaction.lock_partition(PARTITION) == PartitionState(
                position=position, partitions=1, snapshot_open=True
            )
            following = {"": "8203", "8203": "8207", "8207": "8205"}[position]
            transaction.advance(PARTITION, following, 3, 4)
    assert target.destination.metadata.markers("shop")[PARTITION] == "8207", "a marker never goes back"
    assert _state(target).changes_applied == 8


def test_a_partition_of_a_table_that_nobody_noted_is_noted(target: DestinationBench) -> None:
    partition = Partition("shop", "late", 2, 3)
    with target.destination.transaction() as transaction:
        assert transaction.lock_partition(partition) == PartitionState(position="", partitions=3, snapshot_open=False)
    assert target.destination.metadata.partitions("shop") == {"late": 3}


def test_a_partition_says_of_how_many_it_is_one_now(target: DestinationBench) -> None:
    _table(target)
    target.destination.metadata.repartition(REF, 1, 3, "8205")
    with target.destination.transaction() as transaction:
        state = transaction.lock_partition(PARTITION)
    assert state == PartitionState(position="8205", partitions=3, snapshot_open=True)


def test_one_transaction_at_a_time_has_a_chunk(target: DestinationBench) -> None:
    _table(target)
    with (
        closing(target.destination.clone()) as other,
        target.destination.transaction() as transaction,
        other.transaction() as another,
    ):
        assert transaction.lock_chunk(REF, 1) == Chunk(lower=None, upper=b"m")
        assert another.lock_chunk(REF, 1) is None
        assert another.lock_chunk(REF, 2) == Chunk(lower=b"m", upper=None)
        assert another.lock_chunk(REF, 3) is None


def test_a_chunk_shrinks_as_it_is_loaded_and_is_not_loaded_again(target: DestinationBench) -> None:
    _table(target)
    for rows, lower in ((3, b"c"), (4, b"g")):
        with target.destination.transaction() as transaction:
            transaction.lock_chunk(REF, 1)
            transaction.shrink_chunk(REF, 1, lower, rows)
    with target.destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, 1) == Chunk(lower=b"g", upper=b"m")
        transaction.finish_chunk(REF, 1)
    with target.destination.transaction() as transaction:
        assert transaction.lock_chunk(REF, 1) is None
    state = _state(target)
    assert (state.chunks, state.chunks_loaded, state.rows_loaded) == (2, 1, 7)


def test_a_chunk_of_a_snapshot_that_is_closed_is_not_loaded(target: DestinationBench) -> None:
    _table(target)
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


def _letter(position: str, key: Key | None = None) -> DeadLetter:
    return DeadLetter(
        ref=REF,
        key=key or _key("a"),
        operation=Operation.INSERT,
        position=position,
        ts=1,
        payload=b"\x00change",
        error_class="Poison",
        error="cannot be stored",
        correlation_id="cid",
    )


def test_a_change_is_parked_once(target: DestinationBench) -> None:
    _table(target)
    for _ in range(2):
        with target.destination.transaction() as transaction:
            transaction.park([_letter("8201"), _letter("8202")])
            transaction.park([])
    assert _state(target).open_letters == 2
    with target.destination.transaction() as transaction:
        transaction.park([_letter("", _key("a")), _letter("", _key("b"))])
    assert _state(target).open_letters == 4


def test_poison_writes_nothing_of_its_call_and_the_transaction_goes_on(target: DestinationBench) -> None:
    shape = _table(target)
    poison = target.poison_key()
    with target.destination.transaction() as transaction:
        transaction.upsert(REF, shape, [Write(_key("before"), 1, {"v": 1})])
        for write in (transaction.upsert, transaction.load):
            with pytest.raises(Poison):
                write(REF, shape, [Write(_key("with it"), 1, {"v": 1}), Write(poison, 1, {"v": 1})])
        transaction.upsert(REF, shape, [Write(_key("after"), 1, {"v": 1})])
    assert _rows(target, shape) == {"before": 1, "after": 1}


def test_poison_says_nothing_of_the_document(target: DestinationBench) -> None:
    shape = _table(target)
    poison = target.poison_key()
    with target.destination.transaction() as transaction, pytest.raises(Poison) as raised:
        transaction.upsert(REF, shape, [Write(poison, 1, {"v": 1})])
    assert poison.text[:20] not in str(raised.value)


@pytest.mark.parametrize("tombstones", [False, True])
def test_deleting_what_could_never_be_stored_deletes_nothing(target: DestinationBench, tombstones: bool) -> None:
    shape = _table(target)
    poison = target.poison_key()
    with target.destination.transaction() as transaction:
        deletes = [Delete(poison, 1)]
        assert transaction.delete(REF, shape, deletes, soft=False, tombstones=tombstones) == Written(stale=1)


def test_empty_calls_do_nothing(target: DestinationBench) -> None:
    shape = _table(target)
    with target.destination.transaction() as transaction:
        assert transaction.upsert(REF, shape, []) == Written()
        assert transaction.load(REF, shape, []) == Written()
        assert transaction.delete(REF, shape, [], soft=False, tombstones=True) == Written()


def test_a_clone_outlives_the_original(target: DestinationBench) -> None:
    shape = _table(target)
    _upsert(target, shape, 1, "a")
    with closing(target.destination.clone()) as clone:
        target.destination.close()
        target.destination.close()
        assert clone.count(REF, shape) == 1


def test_results_add_up() -> None:
    one = Written(upserted=1, deleted=2, stale=3)
    one.kept["field", "null"] += 1
    assert merged([one, Written(), one]) == Written(upserted=2, deleted=4, stale=6, kept=one.kept + one.kept)
