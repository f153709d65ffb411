"""The source no longer has what follows the checkpoint: everything is read again, and what went meanwhile goes."""

from __future__ import annotations

import pytest

from scheduler.tailer import Tailer
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from warp.change import TableRef
from warp.destinations.base import OnDrop
from warp.errors import Fatal, StreamInvalid, Transient
from warp.metadata.base import SnapshotState


def _begun(*, soft: bool = False) -> tuple[Mirror, Tailer]:
    """A mirror of two tables that has caught up, and stands still."""
    mirror = Mirror(soft=soft)
    mirror.insert(1, 2, 3, v="old")
    mirror.source.insert(SCHEMA, "carts", {"_id": 1, "v": "old"})
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    return mirror, tailer


def _live_on(mirror: Mirror) -> None:
    """Changes of every kind that nobody will ever see in the stream."""
    mirror.advance(10)
    mirror.source.delete(SCHEMA, TABLE, 1)
    mirror.source.update(SCHEMA, TABLE, 2, v="new")
    mirror.insert(4, v="new")
    mirror.source.drop(SCHEMA, "carts")
    mirror.source.insert(SCHEMA, "late", {"_id": 9})
    mirror.source.lose_history()


def _assert_identical(mirror: Mirror) -> None:
    for table in (TABLE, "carts", "late"):
        assert mirror.identical(table), table


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("on_drop", OnDrop)
def test_history_lost_while_nobody_followed(on_drop: OnDrop, soft: bool) -> None:
    mirror, tailer = _begun(soft=soft)
    mirror.on_drop = on_drop
    tailer.finish()
    _live_on(mirror)
    again = mirror.tailer()
    mirror.catch_up(again)
    _assert_identical(mirror)
    assert (len(mirror.database.rows[TableRef(SCHEMA, "carts")]) == 1) == (
        on_drop is OnDrop.KEEP or (soft and on_drop is OnDrop.TRUNCATE)
    )
    assert {(ref.table, action) for ref, action in mirror.database.audit} == {
        (TABLE, "source table replaced: to be read again"),
        ("late", "source table replaced: to be read again"),
        ("carts", f"source table dropped: {on_drop}"),
    }
    mirror.insert(5)
    mirror.catch_up(again)
    _assert_identical(mirror)


@pytest.mark.parametrize("on_drop", [OnDrop.TRUNCATE, OnDrop.DROP])
def test_a_table_that_went_unseen_and_that_a_person_must_mend_does_not_hold_up_the_others(on_drop: OnDrop) -> None:
    mirror, tailer = _begun()
    mirror.on_drop = on_drop
    tailer.finish()
    _live_on(mirror)
    mirror.fail["destination.drop"] = [Fatal("a privilege is missing", remedy="grant it")]
    again = mirror.tailer()
    mirror.catch_up(again)
    _assert_identical(mirror)
    assert mirror.metadata.blocked(SCHEMA) == set()


@pytest.mark.parametrize("soft", [False, True])
def test_a_source_that_is_idle_is_read_at_the_very_time_at_which_the_loss_was_found(soft: bool) -> None:
    mirror, tailer = _begun(soft=soft)
    tailer.finish()
    _live_on(mirror)
    mirror.advance = lambda seconds: None  # type: ignore[method-assign]
    before = mirror.source.now()
    again = mirror.tailer()
    for _ in range(4):
        again.tick()
        mirror.snapshots.tick()
        mirror.work()
    assert mirror.source.now() == before
    _assert_identical(mirror)


@pytest.mark.parametrize("cut", [False, True])
def test_history_lost_in_mid_stream(cut: bool) -> None:
    mirror, tailer = _begun()
    _live_on(mirror)
    if cut:
        mirror.source.cut_streams()
    tailer.tick()
    mirror.catch_up(tailer)
    _assert_identical(mirror)
    assert len(mirror.database.audit) == 3


def test_rows_stay_readable_until_they_are_read_again() -> None:
    mirror, tailer = _begun()
    _live_on(mirror)
    tailer.tick()
    mirror.snapshots.tick()
    assert mirror.rows().keys() == {"1", "2", "3"}
    mirror.work()
    assert mirror.rows().keys() == {"1", "2", "3", "4"}
    mirror.catch_up(tailer)
    assert mirror.rows().keys() == {"2", "3", "4"}


def test_changes_that_were_sent_before_are_void_and_what_comes_after_counts() -> None:
    mirror, tailer = _begun()
    mirror.insert(7, v="sent")
    mirror.source.update(SCHEMA, TABLE, 3, v="sent")
    tailer.tick()
    mirror.source.delete(SCHEMA, TABLE, 7)
    mirror.source.lose_history()
    tailer.close()
    again = mirror.tailer()
    again.tick()
    mirror.insert(7, v="again")
    mirror.catch_up(again)
    _assert_identical(mirror)
    assert mirror.rows()["7"].fields["v"] == "again"


@pytest.mark.parametrize(
    "call",
    ["source.open_stream", "source.tables", "destination.drop", "metadata.replace_table", "metadata.save_checkpoint"],
)
def test_a_tailer_that_dies_meanwhile_leaves_it_to_the_next(call: str) -> None:
    mirror, tailer = _begun()
    tailer.finish()
    _live_on(mirror)
    dying = mirror.tailer()
    mirror.fail[call] = [Transient("not now")]
    with pytest.raises(Transient):
        dying.tick()
    mirror.advance(5)
    mirror.insert(8, v="meanwhile")
    mirror.catch_up(mirror.tailer())
    _assert_identical(mirror)


def test_two_tailers_find_the_loss_at_once() -> None:
    mirror, tailer = _begun()
    tailer.finish()
    _live_on(mirror)
    one, two = mirror.tailer(), mirror.tailer()

    def other() -> None:
        mirror.insert(8, v="meanwhile")
        mirror.source.insert(SCHEMA, "brand new", {"_id": 1})
        two.tick()
        mirror.insert(9, v="meanwhile")

    mirror.meanwhile["metadata.replace_table"] = [other]
    for _ in range(3):
        one.tick()
    mirror.catch_up(two)
    mirror.catch_up(one)
    _assert_identical(mirror)
    assert mirror.identical("brand new")


def test_a_frozen_tailer_wakes_up_after_the_loss() -> None:
    mirror, frozen = _begun()
    mirror.insert(7, v="unsent")
    mirror.source.update(SCHEMA, TABLE, 2, v="unsent")

    def meanwhile() -> None:
        mirror.source.delete(SCHEMA, TABLE, 7)
        _live_on(mirror)
        mirror.catch_up(mirror.tailer())

    mirror.meanwhile["logs.append"] = [meanwhile]
    frozen.tick()
    mirror.work()
    mirror.catch_up(frozen)
    _assert_identical(mirror)


def test_a_table_that_is_being_loaded_for_the_first_time() -> None:
    mirror = Mirror(piece=1)
    mirror.insert(1, 2, 3, v="old")
    tailer = mirror.tailer()
    tailer.tick()
    mirror.snapshots.tick()

    def lose() -> None:
        mirror.source.delete(SCHEMA, TABLE, 3)
        mirror.insert(4)
        mirror.source.lose_history()
        tailer.tick()

    mirror.meanwhile["source.read"] = [lambda: None, lose]
    mirror.work()
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.metadata.tables(SCHEMA)[0].snapshot is SnapshotState.DONE


def test_the_loss_is_told_as_an_error_and_the_stream_is_opened_again() -> None:
    mirror, tailer = _begun()
    tailer.finish()
    _live_on(mirror)
    again = mirror.tailer()
    again.tick()
    assert mirror.database.known[REF].floor > 0
    mirror.fail["source.open_stream"] = [StreamInvalid("not yet")]
    mirror.source.cut_streams()
    with pytest.raises(StreamInvalid):
        again.tick()
    again.close()
    mirror.catch_up(again)
    _assert_identical(mirror)


def test_history_that_is_lost_faster_than_tables_are_noted_is_tried_again_for_ever() -> None:
    mirror, tailer = _begun()
    tailer.finish()
    _live_on(mirror)
    again = mirror.tailer()
    for _ in range(3):
        mirror.meanwhile["metadata.save_checkpoint"] = [mirror.source.lose_history]
        mirror.advance(1)
        mirror.insert(*range(90, 99))
        for number in range(90, 99):
            mirror.source.delete(SCHEMA, TABLE, number)
        again.tick()
    mirror.catch_up(again)
    _assert_identical(mirror)
