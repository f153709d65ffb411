"""The contract of destinations: tables that keep their history (`warp.history`). Rows are only ever added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import orjson
import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import PARTITION, REF, START, key, letter, seen
from warp.change import BEGINNING, Key, Write
from warp.destinations.base import OnDrop, Transaction, Written
from warp.errors import Poison, Transient
from warp.evolution.rules import Layout, Rules
from warp.evolution.shape import Shape
from warp.history import Event, HistoryRow
from warp.metadata.base import LetterState
from warp.sources.base import Chunk, SourceTable, StoredJson
from warp.testing.documents import JsonStructured
from warp.values import Opaque

FLOOR = 20
OPAQUE = Opaque(b'{"v":{"$numberDouble":"NaN"}}', "not_json")


def make(target: DestinationBench) -> Shape:
    """A table that keeps its history, with a snapshot of one chunk."""
    metadata = target.destination.metadata
    metadata.begin_schema(REF.schema, START, [SourceTable(name=REF.table, documents=1, size_bytes=1)], {REF.table: 1})
    metadata.add_chunks(REF, [Chunk(lower=None, upper=None)])
    rules = Rules(layout=Layout.HISTORY, max_columns=1)
    return target.destination.evolve(REF, seen(), rules, cause="test").after


def row(
    name: str, ts: int, event: Event = Event.INSERT, *, position: str | None = None, v: int | Opaque | None = 1
) -> HistoryRow:
    """A row of the document of that key, which holds `v`; none for what ends it."""
    record = {"doc": v if isinstance(v, Opaque) else JsonStructured(f'{{"v":{v}}}')}
    is_gone = v is None or event is Event.DELETE
    place = f"82{ts:04}" if position is None else position
    return HistoryRow(key(name), ts, place, event, None if is_gone else record, None if is_gone else ts)


@contextmanager
def begun(target: DestinationBench) -> Iterator[Transaction]:
    with target.destination.transaction() as transaction:
        yield transaction


def append(target: DestinationBench, shape: Shape, *rows: HistoryRow) -> Written:
    with begun(target) as transaction:
        return transaction.append(REF, shape, rows)


def load(target: DestinationBench, shape: Shape, ts: int, *names: str) -> Written:
    with begun(target) as transaction:
        return transaction.load(REF, shape, [Write(key(name), ts, {"doc": JsonStructured("{}")}) for name in names])


def finish_load(target: DestinationBench) -> None:
    [chunk] = target.destination.metadata.missing_chunks(REF, 10)
    with begun(target) as transaction:
        assert transaction.lock_chunk(REF, chunk)
        transaction.finish_chunk(REF, chunk)


def read_again(target: DestinationBench, floor: int = FLOOR) -> None:
    assert target.destination.metadata.replace_table(REF, floor, 1, "history lost")
    target.destination.metadata.add_chunks(REF, [Chunk(lower=None, upper=None)])


def drop(target: DestinationBench, ts: int, on_drop: OnDrop = OnDrop.KEEP) -> bool:
    return target.destination.drop(REF, ts, on_drop, soft=False, cause="drop")


def sweep(target: DestinationBench, limit: int = 100) -> int:
    return target.destination.sweep(REF, limit, soft=False)


def shown(target: DestinationBench) -> dict[str, object]:
    """The document that each key has now."""
    destination = target.destination
    keys = [key for keys in destination.keys(REF) for key in keys]
    assert destination.count(REF) == len(keys)
    assert destination.kept(REF) == 0
    rows = destination.rows(REF, [*keys, key("never there")])
    assert rows.keys() == {*keys}
    assert all(values.keys() == {"doc"} for values in rows.values())
    return {key.text: content(values["doc"]) for key, values in rows.items()}


def content(value: object) -> object:
    assert isinstance(value, StoredJson)
    return orjson.loads(value.text)


def told(target: DestinationBench, name: str) -> list[tuple[int, str]]:
    """When what happened to a document."""
    return [(ts, operation) for text, ts, _, operation, _ in target.history(REF) if text == name]


def document(v: int) -> object:
    return {"v": v}


def test_every_change_is_a_row_and_the_last_one_tells_what_the_document_is(target: DestinationBench) -> None:
    shape = make(target)
    rows = [row("a", 10), row("b", 11), row("a", 12, Event.UPDATE, v=2), row("a", 13, Event.REPLACE, v=3)]
    assert append(target, shape, *rows, row("b", 14, Event.DELETE)) == Written(appended=5)
    assert shown(target) == {"a": document(3)}
    assert told(target, "a") == [(10, "insert"), (12, "update"), (13, "replace")]
    assert append(target, shape, row("b", 15, v=4), row("a", 15, Event.UPDATE, v=None)) == Written(appended=2)
    assert shown(target) == {"b": document(4)}
    assert target.history(REF)[3] == ("a", 15, "820015", "update", None)


def test_what_is_there_stays_as_it_is(target: DestinationBench) -> None:
    shape = make(target)
    rows = [row("a", 10), row("a", 12, v=2), row("b", 10)]
    append(target, shape, *rows)
    before = target.history(REF)
    assert append(target, shape, *rows, row("a", 12, v=9)) == Written(stale=4)
    assert (target.history(REF), shown(target)) == (before, {"a": document(2), "b": document(1)})


def test_rows_may_come_in_any_order(target: DestinationBench) -> None:
    shape = make(target)
    append(target, shape, row("a", 12, v=2))
    append(target, shape, row("a", 10, v=1), row("a", 11, Event.DELETE))
    assert (shown(target), len(target.history(REF))) == ({"a": document(2)}, 3)


def test_changes_of_one_time_are_in_order_of_their_position(target: DestinationBench) -> None:
    shape = make(target)
    append(target, shape, row("a", 10, position="8210B", v=2), row("a", 10, position="8210A", v=1))
    assert shown(target) == {"a": document(2)}
    assert append(target, shape, row("a", 10, Event.DELETE, position="8210C")).appended == 1
    assert shown(target) == {}


def test_positions_of_any_length_tell_changes_apart(target: DestinationBench) -> None:
    shape = make(target)
    long = "82" + "0123456789ABCDEF" * 500
    append(target, shape, row("a", 10, position=f"{long}1", v=1), row("a", 10, position=f"{long}2", v=2))
    assert shown(target) == {"a": document(2)}


def test_a_load_adds_what_has_no_row_of_its_time_or_later(target: DestinationBench) -> None:
    shape = make(target)
    append(target, shape, row("older", 9), row("same", 10), row("newer", 11), row("deleted", 11, Event.DELETE))
    assert load(target, shape, 10, "new", "older", "same", "newer", "deleted") == Written(appended=2, stale=3)
    assert (told(target, "new"), told(target, "older")) == ([(10, "load")], [(9, "insert"), (10, "load")])
    assert (told(target, "same"), told(target, "deleted")) == ([(10, "insert")], [(11, "delete")])
    assert load(target, shape, 10, "new", "older") == Written(stale=2)


def test_what_was_read_stands_after_the_changes_of_its_time(target: DestinationBench) -> None:
    shape = make(target)
    load(target, shape, 10, "a")
    append(target, shape, row("a", 10, Event.UPDATE, v=5))
    assert told(target, "a") == [(10, "update"), (10, "load")]
    assert shown(target) == {"a": {}}


def test_what_jsonb_does_not_hold_is_kept_and_counted(target: DestinationBench) -> None:
    shape = make(target)
    written = append(target, shape, row("a", 10, v=OPAQUE))
    assert (written.appended, dict(written.kept)) == (1, {("doc", "not_json"): 1})
    assert shown(target) == {"a": {"v": {"$numberDouble": "NaN"}}}


def test_nothing_of_an_append_with_poison_is_there(target: DestinationBench) -> None:
    shape, poison = make(target), target.poison_key()
    with begun(target) as transaction:
        with pytest.raises(Poison):
            transaction.append(REF, shape, [row("a", 10), row("a", 11)._replace(key=poison)])
        assert transaction.append(REF, shape, [row("b", 12)]).appended == 1
    assert [name for name, *_ in target.history(REF)] == ["b"]


@pytest.mark.parametrize("on_drop", OnDrop)
def test_a_drop_ends_the_documents_that_there_were_and_deletes_no_row(
    target: DestinationBench, on_drop: OnDrop
) -> None:
    shape = make(target)
    append(target, shape, row("a", 10), row("a", 11, v=2), row("b", 12, Event.UPDATE, v=None))
    append(target, shape, row("deleted", 10), row("deleted", 11, Event.DELETE), row("after", 30))
    append(target, shape, row("again", 10), row("again", 30, v=3))
    assert drop(target, FLOOR, on_drop)
    assert not drop(target, FLOOR, on_drop)
    assert told(target, "a") == [(10, "insert"), (11, "insert"), (20, "drop")]
    assert told(target, "b") == [(12, "update"), (20, "drop")]
    assert told(target, "deleted") == [(10, "insert"), (11, "delete")]
    assert told(target, "again") == [(10, "insert"), (20, "drop"), (30, "insert")]
    assert shown(target) == {"after": document(1), "again": document(3)}
    assert target.audit(REF) == [f"source table dropped: {on_drop}"]


def test_what_comes_after_a_drop_ends_with_it_if_it_is_older(target: DestinationBench) -> None:
    shape = make(target)
    append(target, shape, row("again", 30, v=3))
    drop(target, FLOOR)
    append(target, shape, row("late", 15), row("again", 15), row("deleted", 14), row("deleted", 15, Event.DELETE))
    assert load(target, shape, 16, "loaded").appended == 1
    append(target, shape, row("same", FLOOR))
    assert told(target, "late") == [(15, "insert"), (20, "drop")]
    assert told(target, "loaded") == [(16, "load"), (20, "drop")]
    assert told(target, "again") == [(15, "insert"), (20, "drop"), (30, "insert")]
    assert told(target, "deleted") == [(14, "insert"), (15, "delete")]
    assert shown(target) == {"again": document(3), "same": document(1)}


def test_what_a_load_does_not_meet_is_gone(target: DestinationBench) -> None:
    shape = make(target)
    append(target, shape, *(row(name, 10) for name in ("a", "b", "c", "met", "changed", "deleted", "again")))
    append(target, shape, row("deleted", 12, Event.DELETE), row("changed", 25, Event.UPDATE, v=2))
    finish_load(target)
    assert sweep(target) == 0, "it was never read again"
    read_again(target)
    assert sweep(target) == 0, "it is not loaded yet"
    load(target, shape, 22, "met", "changed")
    finish_load(target)
    assert [sweep(target, 2), sweep(target, 2), sweep(target, 2)] == [2, 2, 0]
    assert told(target, "a") == [(10, "insert"), (20, "gone")]
    assert told(target, "deleted") == [(10, "insert"), (12, "delete")]
    assert told(target, "changed") == [(10, "insert"), (25, "update")]
    assert shown(target).keys() == {"met", "changed"}
    append(target, shape, row("again", 26, v=7))
    assert told(target, "again") == [(10, "insert"), (20, "gone"), (26, "insert")]


def test_what_comes_when_all_is_swept_is_gone_if_it_is_older(target: DestinationBench) -> None:
    shape = make(target)
    append(target, shape, row("a", 10))
    finish_load(target)
    read_again(target)
    append(target, shape, row("b", 11))
    assert told(target, "b") == [(11, "insert")], "the load may still meet it"
    load(target, shape, 22, "met")
    finish_load(target)
    append(target, shape, row("c", 12))
    assert told(target, "c") == [(12, "insert"), (20, "gone")]
    assert sweep(target) == 2
    assert target.destination.metadata.close_snapshot(REF)
    append(target, shape, row("d", 13), row("met", 14), row("e", 21))
    assert told(target, "d") == [(13, "insert"), (20, "gone")]
    assert told(target, "met") == [(14, "insert"), (22, "load")]
    assert shown(target).keys() == {"met", "e"}


def test_what_was_read_at_the_time_as_of_which_it_is_gone_is_there(target: DestinationBench) -> None:
    """A load could not write it, and a replay of that finds the source as it was then."""
    shape = make(target)
    append(target, shape, row("a", 10))
    finish_load(target)
    read_again(target)
    finish_load(target)
    assert sweep(target) == 1
    assert load(target, shape, FLOOR, "a").appended == 1
    assert told(target, "a") == [(10, "insert"), (20, "gone"), (20, "load")]
    assert shown(target) == {"a": {}}


def test_a_drop_waits_for_a_load_under_way(target: DestinationBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither would see what the other does."""
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 50)
    shape = make(target)
    with closing(target.another()) as other:
        with begun(target) as transaction:
            transaction.load(REF, shape, [Write(key("a"), 10, {"doc": JsonStructured("{}")})])
            with pytest.raises(Transient):
                other.drop(REF, FLOOR, OnDrop.KEEP, soft=False, cause="drop")
        assert other.drop(REF, FLOOR, OnDrop.KEEP, soft=False, cause="drop")
    assert told(target, "a") == [(10, "load"), (20, "drop")]


def _states(target: DestinationBench) -> Sequence[LetterState]:
    letters = [target.destination.metadata.letter(number) for number in (1, 2, 3)]
    return [stored.state for stored in letters if stored is not None]


def test_each_change_that_is_parked_stays_open_and_a_load_until_its_document_has_a_row(
    target: DestinationBench,
) -> None:
    shape = make(target)
    for parked in (letter("8210A", ts=10), letter("8210B", ts=10), letter(BEGINNING, ts=11)):
        with begun(target) as transaction:
            transaction.lock_partition(PARTITION)
            transaction.park([parked], each=True)
    opened: list[LetterState] = [LetterState.OPEN] * 3
    assert append(target, shape, row("a", 10, position="8210C")).superseded == 0
    assert _states(target) == opened
    assert append(target, shape, row("a", 12)).superseded == 1
    assert _states(target) == [*opened[:2], LetterState.SUPERSEDED]


def test_a_key_of_another_kind_is_another_key(target: DestinationBench) -> None:
    shape = make(target)
    number = Key(key("8").kind.INT, "8")
    append(target, shape, row("8", 10), row("8", 11, v=2)._replace(key=number))
    rows = target.destination.rows(REF, [key("8"), number])
    assert {found.kind.value: content(values["doc"]) for found, values in rows.items()} == {
        "string": document(1),
        "int": document(2),
    }
