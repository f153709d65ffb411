"""Mirrors of tables that keep their history, in memory: every change is a row, and the last row is the document."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from scheduler.tailer import Tailer
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import change, key
from warp.change import BEGINNING, Change, Key, Operation, Partition, Write
from warp.errors import UpdatesLost
from warp.evolution.rules import Layout
from warp.filters import FieldPatterns, field_filter
from warp.history import ENDS, FIRST, LAST, Event, HistoryRow
from warp.metadata.base import LetterState
from warp.sources.base import StoredJson, StreamPoint
from warp.verify import verify_schema
from workers.apply import Outcome as Step
from workers.history import told
from workers.replay import Outcome, Replayer
from workers.report import Report

PARTITION = Partition(*REF, 0, 1)


def mirror_of(**options: Any) -> Mirror:
    mirror = Mirror(**options)
    mirror.layout = Layout.HISTORY
    return mirror


def rows(mirror: Mirror, number: int | None = None) -> list[tuple[Key, int, str, str, Any]]:
    """The rows in their order, of one document or of all: key, time, position, operation, and the document."""
    return [
        (of, *place, entry.event.value, content(entry.fields))
        for of, entries in mirror.database.histories.get(REF, {}).items()
        for place, entry in sorted(entries.items())
        if number is None or of == key(number)
    ]


def content(fields: Any) -> Any:
    if fields is None:
        return None
    assert isinstance(fields["doc"], StoredJson)
    return orjson.loads(fields["doc"].text)


def story(mirror: Mirror, number: int) -> list[tuple[str, Any]]:
    return [(operation, document) for _, _, _, operation, document in rows(mirror, number)]


def assert_verified(mirror: Mirror) -> None:
    """`verify` finds no difference."""
    settings = mirror.settings()
    for result in verify_schema(
        mirror.source, mirror.destination, SCHEMA, patience=0, wait=mirror.advance, fields=lambda _: settings.fields
    ):
        assert result.identical, result


def assert_identical(mirror: Mirror) -> None:
    """Nor is there one where the rows are gone through in order."""
    assert_verified(mirror)
    state: dict[Key, Any] = {}
    for of, _, _, operation, document in rows(mirror):
        state[of] = None if operation in ENDS else document
    documents = mirror.source.documents.get(REF, {})
    assert {of: document for of, document in state.items() if document is not None} == {
        of: {name: value for name, value in document.items() if name != "_id"} for of, document in documents.items()
    }


def replayer(mirror: Mirror) -> Replayer:
    return Replayer(mirror.source, mirror.destination, settings=mirror.settings, report=Report(), wait=mirror.advance)


@pytest.fixture
def streaming() -> tuple[Mirror, Tailer]:
    """A mirror that follows the stream of an empty schema."""
    mirror = mirror_of()
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    return mirror, tailer


def test_no_change_is_coalesced(streaming: tuple[Mirror, Tailer]) -> None:
    mirror, tailer = streaming
    mirror.insert(1, v=1)
    mirror.source.update(SCHEMA, TABLE, 1, v=2)
    mirror.source.update(SCHEMA, TABLE, 1, v=3)
    mirror.source.replace(SCHEMA, TABLE, {"_id": 1, "w": 4})
    mirror.source.delete(SCHEMA, TABLE, 1)
    mirror.insert(1, v=5)
    mirror.catch_up(tailer)
    looked_up = {"v": 5}
    assert story(mirror, 1) == [
        ("insert", {"v": 1}),
        ("update", looked_up),
        ("update", looked_up),
        ("replace", {"w": 4}),
        ("delete", None),
        ("insert", {"v": 5}),
    ]
    assert [position for _, _, position, _, _ in rows(mirror)] == [logged.position for logged in mirror.source.log]
    assert mirror.calls.count("source.lookup") == 1
    assert_identical(mirror)


def test_a_document_that_is_gone_when_it_is_looked_up_leaves_its_updates_without(
    streaming: tuple[Mirror, Tailer],
) -> None:
    mirror, tailer = streaming
    mirror.insert(1, v=1)
    mirror.source.update(SCHEMA, TABLE, 1, v=2)
    tailer.tick()
    mirror.source.delete(SCHEMA, TABLE, 1)
    mirror.work()
    assert story(mirror, 1) == [("insert", {"v": 1}), ("update", None)]
    assert_no_document(mirror)
    mirror.catch_up(tailer)
    assert story(mirror, 1)[2:] == [("delete", None)]
    assert_identical(mirror)


def assert_no_document(mirror: Mirror) -> None:
    assert mirror.destination.count(REF) == 0


def test_a_transaction_is_a_row_for_each_of_its_changes(streaming: tuple[Mirror, Tailer]) -> None:
    mirror, tailer = streaming
    with mirror.source.transaction():
        mirror.insert(1, v=1)
        mirror.source.replace(SCHEMA, TABLE, {"_id": 1, "v": 2})
        mirror.source.delete(SCHEMA, TABLE, 1)
        mirror.insert(1, v=3)
    mirror.catch_up(tailer)
    assert [document for _, document in story(mirror, 1)] == [{"v": 1}, {"v": 2}, None, {"v": 3}]
    assert len({ts for _, ts, *_ in rows(mirror)}) == 1
    assert_identical(mirror)


def test_what_is_sent_and_applied_again_changes_nothing(streaming: tuple[Mirror, Tailer]) -> None:
    mirror, tailer = streaming
    mirror.insert(1, 2, 3, v=1)
    mirror.source.update(SCHEMA, TABLE, 1, v=2)
    mirror.source.delete(SCHEMA, TABLE, 2)
    mirror.catch_up(tailer)
    before = rows(mirror)
    for marker in mirror.database.markers.values():
        marker.position = BEGINNING
    state = mirror.database.schemas[SCHEMA]
    mirror.database.schemas[SCHEMA] = replace(state, checkpoint=StreamPoint(position=BEGINNING, ts=1))
    mirror.catch_up(mirror.tailer())
    assert [marker.changes for marker in mirror.database.markers.values()] == [10]
    assert rows(mirror) == before


def test_a_first_load_beside_the_stream() -> None:
    mirror = mirror_of(piece=1)
    mirror.insert(1, 2, 3, v=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.meanwhile["source.read"] = [
        lambda: mirror.source.update(SCHEMA, TABLE, 3, v=2),
        lambda: mirror.source.delete(SCHEMA, TABLE, 2),
    ]
    mirror.catch_up(tailer)
    assert story(mirror, 1) == [("load", {"v": 1})]
    assert story(mirror, 2) == [("load", {"v": 1}), ("delete", None)]
    assert [operation for operation, _ in story(mirror, 3)] == ["load", "update"]
    assert {position for _, _, position, operation, _ in rows(mirror) if operation == "load"} == {LAST}
    assert mirror.database.tombstones == {}
    assert_identical(mirror)


def test_soft_deletes_are_rows_like_all_others() -> None:
    mirror = mirror_of(soft=True)
    mirror.insert(1, v=1)
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.source.delete(SCHEMA, TABLE, 1)
    mirror.catch_up(tailer)
    assert not mirror.database.shapes[REF].soft_delete
    assert [operation for operation, _ in story(mirror, 1)] == ["load", "delete"]
    assert_identical(mirror)


def test_history_lost_while_nobody_followed() -> None:
    mirror = mirror_of()
    mirror.insert(1, 2, 3, v="old")
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.source.delete(SCHEMA, TABLE, 3)
    mirror.catch_up(tailer)
    tailer.finish()
    mirror.advance(10)
    mirror.source.delete(SCHEMA, TABLE, 1)
    mirror.source.update(SCHEMA, TABLE, 2, v="new")
    mirror.insert(4, v="new")
    mirror.source.lose_history()
    again = mirror.tailer()
    mirror.catch_up(again)
    assert story(mirror, 1) == [("load", {"v": "old"}), ("gone", None)]
    assert story(mirror, 2) == [("load", {"v": "old"}), ("load", {"v": "new"})]
    assert [operation for operation, _ in story(mirror, 3)] == ["load", "delete"]
    assert story(mirror, 4) == [("load", {"v": "new"})]
    [(_, ts, position, _, _)] = [row for row in rows(mirror, 1) if row[3] == "gone"]
    assert (ts, position) == (mirror.database.known[REF].floor, FIRST)
    assert_identical(mirror)
    mirror.insert(1, v="again")
    mirror.catch_up(again)
    assert_identical(mirror)


def test_changes_from_before_a_replacement_are_kept(streaming: tuple[Mirror, Tailer]) -> None:
    """In other layouts they are void."""
    mirror, tailer = streaming
    mirror.insert(1, 2, v=1)
    mirror.catch_up(tailer)
    mirror.source.delete(SCHEMA, TABLE, 1)
    tailer.tick()
    mirror.source.insert(SCHEMA, "drafts", {"_id": 3, "v": 3})
    mirror.source.rename(SCHEMA, "drafts", TABLE)
    mirror.catch_up(tailer)
    assert story(mirror, 1) == [("insert", {"v": 1}), ("delete", None)]
    assert [operation for operation, _ in story(mirror, 2)] == ["insert", "gone"]
    assert [operation for operation, _ in story(mirror, 3)] == ["load"]
    assert_identical(mirror)


def test_a_dropped_table_keeps_its_rows_and_says_when_it_was_dropped(streaming: tuple[Mirror, Tailer]) -> None:
    mirror, tailer = streaming
    mirror.insert(1, 2, v=1)
    mirror.catch_up(tailer)
    mirror.source.update(SCHEMA, TABLE, 2, v=2)
    mirror.insert(3, v=3)
    mirror.source.drop(SCHEMA, TABLE)
    mirror.insert(1, v="new")
    mirror.catch_up(tailer)
    assert story(mirror, 1) == [("insert", {"v": 1}), ("drop", None), ("insert", {"v": "new"})]
    assert story(mirror, 2) == [("insert", {"v": 1}), ("update", None), ("drop", None)]
    assert story(mirror, 3) == [("insert", {"v": 3}), ("drop", None)]
    assert [error.error_class for error in mirror.metadata.errors(SCHEMA, 10)] == [UpdatesLost.__name__]
    assert_identical(mirror)


def _parked(mirror: Mirror, tailer: Tailer) -> list[int]:
    mirror.catch_up(tailer)
    return [stored.number for stored in mirror.database.open_letters()]


def test_each_change_of_a_document_that_can_not_be_stored_is_a_letter(streaming: tuple[Mirror, Tailer]) -> None:
    mirror, tailer = streaming
    mirror.database.poison.add(key(2))
    mirror.insert(1, 2, 3, v=1)
    with mirror.source.transaction():
        mirror.source.replace(SCHEMA, TABLE, {"_id": 2, "v": 2})
        mirror.source.replace(SCHEMA, TABLE, {"_id": 2, "v": 3})
    numbers = _parked(mirror, tailer)
    assert [story(mirror, number) for number in (1, 2, 3)] == [[("insert", {"v": 1})], [], [("insert", {"v": 1})]]
    assert len(numbers) == 3
    mirror.database.poison.clear()
    mirror.source.update(SCHEMA, TABLE, 2, v=4)
    assert _parked(mirror, tailer) == numbers, "a later change does not make them void"
    for number in reversed(numbers):
        assert replayer(mirror).replay(number).outcome is Outcome.APPLIED
    assert [document for _, document in story(mirror, 2)] == [{"v": v} for v in (1, 2, 3, 4)]
    assert {stored.state for stored in mirror.database.letters.values()} == {LetterState.APPLIED}
    assert_identical(mirror)


def test_a_letter_from_before_a_replacement_is_a_row_that_had_ended(streaming: tuple[Mirror, Tailer]) -> None:
    mirror, tailer = streaming
    mirror.database.poison.add(key(2))
    mirror.insert(1, 2, v=1)
    [number] = _parked(mirror, tailer)
    mirror.database.poison.clear()
    mirror.source.insert(SCHEMA, "drafts", {"_id": 1, "v": 2})
    mirror.source.rename(SCHEMA, "drafts", TABLE)
    mirror.catch_up(tailer)
    assert replayer(mirror).replay(number).outcome is Outcome.APPLIED
    assert story(mirror, 2) == [("insert", {"v": 1}), ("gone", None)]
    assert_identical(mirror)


def test_a_letter_of_a_table_with_filters_is_its_change_with_the_document_of_now(
    streaming: tuple[Mirror, Tailer],
) -> None:
    mirror, tailer = streaming
    mirror.filter = field_filter((FieldPatterns(exclude=("secret",)),), "")
    mirror.database.poison.add(key(2))
    mirror.insert(2, v=1, secret=1)
    [number] = _parked(mirror, tailer)
    mirror.database.poison.clear()
    mirror.source.update(SCHEMA, TABLE, 2, v=2)
    mirror.catch_up(tailer)
    assert replayer(mirror).replay(number).outcome is Outcome.APPLIED
    assert story(mirror, 2) == [("insert", {"v": 2}), ("update", {"v": 2})]
    [((ts, _), inserted), _] = sorted(mirror.database.histories[REF][key(2)].items())
    assert inserted.record_ts is not None
    assert inserted.record_ts > ts
    assert_verified(mirror)


@pytest.mark.parametrize("changed", [False, True])
def test_a_letter_of_a_load_is_loaded_unless_the_document_has_changed_since(*, changed: bool) -> None:
    mirror = mirror_of()
    mirror.database.poison.add(key(2))
    mirror.insert(1, 2, v=1)
    tailer = mirror.tailer()
    [number] = _parked(mirror, tailer)
    mirror.database.poison.clear()
    if changed:
        mirror.source.update(SCHEMA, TABLE, 2, v=2)
        assert _parked(mirror, tailer) == []
    else:
        assert replayer(mirror).replay(number).outcome is Outcome.APPLIED
    assert [operation for operation, _ in story(mirror, 2)] == ["update" if changed else "load"]
    assert_identical(mirror)


def test_a_letter_of_a_load_whose_document_is_gone_is_void() -> None:
    mirror = mirror_of()
    mirror.database.poison.add(key(2))
    mirror.insert(2, v=1)
    [number] = _parked(mirror, mirror.tailer())
    mirror.database.poison.clear()
    mirror.source.delete(SCHEMA, TABLE, 2)
    assert replayer(mirror).replay(number).outcome is Outcome.SUPERSEDED
    assert story(mirror, 2) == []


def _work(mirror: Mirror, draw: random.Random) -> None:
    """One change of one of a few documents."""
    number = draw.randrange(4)
    present = key(number) in mirror.source.documents.get(REF, {})
    match draw.randrange(4) if present else 0:
        case 0 if not present:
            mirror.insert(number, v=draw.random())
        case 1:
            mirror.source.replace(SCHEMA, TABLE, {"_id": number, "w": draw.random()})
        case 2:
            mirror.source.delete(SCHEMA, TABLE, number)
        case _:
            mirror.source.update(SCHEMA, TABLE, number, v=draw.random())


def _live(mirror: Mirror, draw: random.Random) -> None:
    if draw.random() < 0.2:
        with mirror.source.transaction():
            for _ in range(3):
                _work(mirror, draw)
    else:
        _work(mirror, draw)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_every_change_is_one_row_and_the_last_one_is_the_document(seed: int) -> None:
    draw = random.Random(seed)
    mirror = mirror_of(partitions=draw.choice([1, 2]), batch_size=draw.choice([1, 3, 100]))
    for _ in range(draw.randrange(4)):
        _live(mirror, draw)
    before = len(mirror.source.log)
    tailer = mirror.tailer()
    tailer.tick()
    for _ in range(40):
        _live(mirror, draw)
        match draw.randrange(8):
            case 0 | 1 | 2:
                tailer.tick()
            case 3:
                mirror.snapshots.tick()
            case 4:
                mirror.work()
            case 5:
                tailer = mirror.tailer()
                tailer.tick()
            case 6:
                mirror.broker.flush()
            case _:
                pass
    mirror.catch_up(tailer)
    mirror.catch_up(tailer)
    found = {position: (of, ts, operation) for of, ts, position, operation, _ in rows(mirror) if position != LAST}
    logged = mirror.source.log[before:]
    assert found == {each.position: (each.key, each.ts, each.operation) for each in logged}
    assert_identical(mirror)


def test_a_step_that_fails_leaves_nothing(streaming: tuple[Mirror, Tailer]) -> None:
    mirror, tailer = streaming
    mirror.insert(1, v=1)
    tailer.tick()
    mirror.fail["destination.commit"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        mirror.applier().step(PARTITION)
    assert rows(mirror) == []
    assert mirror.applier().step(PARTITION) is Step.APPLIED
    assert_identical(mirror)


def _told(*changes: Change, found: Iterable[list[Write]]) -> list[list[HistoryRow]]:
    return [[row for _, row in rows] for rows in told(changes, lambda _: found)]


def test_rows_come_in_lists_with_what_is_looked_up_after_what_is_carried() -> None:
    first, second = change("a", 1, Operation.UPDATE), change("b", 1, Operation.UPDATE, ts=2)
    carried, gone = change("c", 2, record={"doc": 1}), change("d", 3, Operation.UPDATE, ts=4)
    found = [[Write(key(1), 9, {"doc": 5})]]
    assert _told(first, carried, second, gone, found=found) == [
        [HistoryRow(key(2), 1, "c", Event.INSERT, {"doc": 1}, 1)],
        [
            HistoryRow(key(1), 1, "a", Event.UPDATE, {"doc": 5}, 9),
            HistoryRow(key(1), 2, "b", Event.UPDATE, {"doc": 5}, 9),
        ],
        [HistoryRow(key(3), 4, "d", Event.UPDATE, None, None)],
    ]
