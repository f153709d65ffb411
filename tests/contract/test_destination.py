"""The contract of destinations: tables, their shapes, and rows as they are read back (`warp.destinations.base`)."""

from __future__ import annotations

import threading
from contextlib import closing
from uuid import UUID

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import (
    REF,
    delete,
    evolve,
    key,
    make_table,
    shown,
    upsert,
)
from tests.support.wait import eventually
from warp.change import Delete, Key, KeyKind, Record, Write
from warp.destinations.base import Written, merged
from warp.errors import Fatal, Transient
from warp.evolution.decide import Decision
from warp.evolution.shape import Shape
from warp.sources.base import StoredJson
from warp.testing.documents import JsonStructured
from warp.values import Kind, ObjectIdText, Opaque, Structured


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
    decision = evolve(target.destination, {"v": 1, "text": "x", "nothing": None})
    assert (decision.before, decision.changes, decision.after.version) == (None, True, 1)
    assert {name: column.kind for name, column in decision.after.columns.items()} == {
        "v": Kind.INT,
        "text": Kind.STRING,
    }
    assert target.destination.tables("shop") == {"orders": decision.after}
    assert target.destination.tables("elsewhere") == {}


def test_a_shape_that_takes_what_is_seen_stays(target: DestinationBench) -> None:
    shape = evolve(target.destination, {"v": 1}).after
    again = evolve(target.destination, {"v": 2})
    assert (again.changes, again.after) == (False, shape)


def test_new_fields_become_new_columns_and_old_rows_keep_what_they_have(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 1, "a", v=1)
    wider = evolve(target.destination, {"v": 1, "new": "x"}).after
    assert wider.version == 2
    assert list(wider.columns) == ["v", "new"]
    with target.destination.transaction() as transaction:
        assert transaction.shape(REF) == wider
        transaction.upsert(REF, wider, [Write(key("b"), 1, {"v": 2, "new": "x"})])
    rows = target.destination.rows(REF, [key("a"), key("b")])
    assert rows == {key("a"): {"v": 1}, key("b"): {"v": 2, "new": "x"}}


def test_a_key_of_another_kind_widens_the_key_and_stays_another_key(target: DestinationBench) -> None:
    number, text = Key(KeyKind.INT, "8"), key("8")
    shape = evolve(target.destination, {"v": 1}, keys=[number]).after
    with target.destination.transaction() as transaction:
        transaction.upsert(REF, shape, [Write(number, 1, {"v": 1})])
    wider = evolve(target.destination, {"v": 1}, keys=[text]).after
    assert wider.mixed_keys
    with target.destination.transaction() as transaction:
        transaction.upsert(REF, wider, [Write(text, 1, {"v": 2})])
    assert target.destination.rows(REF, [number, text]) == {number: {"v": 1}, text: {"v": 2}}
    assert {key for keys in target.destination.keys(REF) for key in keys} == {number, text}


def test_workers_that_evolve_a_table_at_once_agree(target: DestinationBench) -> None:
    names = [f"field{number}" for number in range(6)]
    shapes: list[Shape] = []

    def work(name: str) -> None:
        with closing(target.another()) as clone:
            shapes.append(evolve(clone, {name: 1, "v": 1}).after)

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
    shape = make_table(target)
    evolved: list[Decision] = []

    def widen() -> None:
        def done() -> bool:
            try:
                evolved.append(evolve(other, {"new": 1}))
            except Transient:
                return False
            return True

        with closing(target.another()) as other:
            eventually(done)

    thread = threading.Thread(target=widen)
    with target.destination.transaction() as transaction:
        assert transaction.shape(REF) == shape
        thread.start()
        transaction.upsert(REF, shape, [Write(key("a"), 1, {"v": 1})])
        assert not evolved
    thread.join()
    assert evolved[0].before == shape
    assert shown(target) == {"a": 1}


def test_a_write_is_a_whole_document(target: DestinationBench) -> None:
    shape = make_table(target, {"v": 1, "text": "x"})
    first: Record = {"v": 1, "text": "x", "odd": Opaque(b'{"$minKey":1}', "bson_type")}
    second: Record = {"v": 2}
    for ts, record in ((1, first), (2, second)):
        with target.destination.transaction() as transaction:
            transaction.upsert(REF, shape, [Write(key("a"), ts, record)])
    assert target.destination.rows(REF, [key("a")]) == {key("a"): {"v": 2}}


def test_a_table_can_be_given_soft_deletes_later(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 1, "a", "b")
    softer = evolve(target.destination, {"v": 1}, soft=True).after
    assert softer.soft_delete
    delete(target, softer, 2, "a", soft=True)
    assert shown(target) == {"b": 1}


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
    shape = make_table(target, record)
    odd: Record = {
        "number": "text",
        "object": None,
        "text": 7,
        "flag": Opaque(b'{"$minKey":1}', "bson_type"),
        "late": 2**40,
    }
    with target.destination.transaction() as transaction:
        written = transaction.upsert(REF, shape, [Write(key("a"), 1, record), Write(key("b"), 1, odd)])
    assert written.kept == {
        ("number", "does_not_fit"): 1,
        ("object", "null"): 1,
        ("text", "does_not_fit"): 1,
        ("flag", "bson_type"): 1,
        ("late", "no_column"): 1,
    }
    rows = target.destination.rows(REF, [key("a"), key("b")])
    fitting = dict(rows[key("a")])
    stored = fitting.pop("object")
    assert isinstance(stored, StoredJson)
    assert stored.text.replace(" ", "") == '{"a":[1]}'
    assert fitting == {name: value for name, value in record.items() if not isinstance(value, Structured)}
    assert rows[key("b")] == {
        "number": StoredJson('"text"'),
        "object": StoredJson("null"),
        "text": StoredJson('{"$numberLong":"7"}'),
        "flag": StoredJson('{"$minKey":1}'),
        "late": StoredJson(f'{{"$numberLong":"{2**40}"}}'),
    }


def test_keys_come_in_lists_and_rows_by_the_keys_asked_for(target: DestinationBench) -> None:
    shape = make_table(target)
    names = [str(number) for number in range(50)]
    upsert(target, shape, 1, *names)
    found = [key for keys in target.destination.keys(REF) for key in keys]
    assert sorted(found) == sorted(map(key, names))
    assert target.destination.count(REF) == 50
    assert list(target.destination.rows(REF, [key("7"), key("none")])) == [key("7")]
    assert target.destination.rows(REF, []) == {}


def test_a_table_that_is_not_there_has_no_rows(target: DestinationBench) -> None:
    assert target.destination.rows(REF, [key("a")]) == {}
    assert list(target.destination.keys(REF)) == []
    assert (target.destination.count(REF), target.destination.kept(REF)) == (0, 0)


def test_rows_are_read_by_the_shape_that_the_table_has_by_then(target: DestinationBench) -> None:
    number, text = Key(KeyKind.INT, "8"), key("8")
    with closing(target.another()) as other:
        shape = evolve(other, {"v": 1}, keys=[number]).after
        with other.transaction() as transaction:
            transaction.upsert(REF, shape, [Write(number, 1, {"v": 1})])
        assert target.destination.rows(REF, [number, text]) == {number: {"v": 1}}
        wider = evolve(other, {"v": 1, "new": "x"}, keys=[text], soft=True).after
        with other.transaction() as transaction:
            transaction.upsert(REF, wider, [Write(text, 2, {"v": 2, "new": "x"})])
            transaction.delete(REF, wider, [Delete(number, 2)], soft=True, tombstones=False)
        assert target.destination.rows(REF, [number, text]) == {text: {"v": 2, "new": "x"}}
        assert [key for keys in target.destination.keys(REF) for key in keys] == [text]
        assert target.destination.count(REF) == 1


@pytest.mark.parametrize("first", [Key(KeyKind.INT, "1"), key("1")], ids=["of numbers", "of texts"])
def test_keys_that_the_table_has_yet_to_see_have_no_rows(target: DestinationBench, first: Key) -> None:
    shape = evolve(target.destination, {"v": 1}, keys=[first]).after
    with target.destination.transaction() as transaction:
        transaction.upsert(REF, shape, [Write(first, 1, {"v": 1})])
    texts = ["true", "false", "null", '{"$numberDouble":"1.5"}', '{"a":{"$numberInt":"1"}}', '[{"$numberInt":"1"}]']
    others = [Key(KeyKind.INT, "2"), *(Key(kind, text) for text in texts for kind in (KeyKind.JSON, KeyKind.STRING))]
    others += [key(""), key("x"), key("2"), key('"'), key("-"), Key(KeyKind.OBJECT_ID, "0" * 24)]
    assert target.destination.rows(REF, [first, *others]) == {first: {"v": 1}}


def test_results_add_up() -> None:
    one = Written(upserted=1, deleted=2, stale=3)
    one.kept["field", "null"] += 1
    assert merged([one, Written(), one]) == Written(upserted=2, deleted=4, stale=6, kept=one.kept + one.kept)
