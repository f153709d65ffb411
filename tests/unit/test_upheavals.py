"""What happens to whole tables, over in-memory parts: drops, renames, and both again after a crash."""

from __future__ import annotations

import pytest

from scheduler.tailer import CHECK_SECONDS, Tailer
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from warp.change import TableRef
from warp.destinations.base import OnDrop
from warp.errors import Fatal, Poison, Transient, WarpError
from warp.metadata.base import SnapshotState
from warp.retry import MENDED_SECONDS

EVERY = pytest.mark.parametrize("on_drop", OnDrop)


def _begun(on_drop: OnDrop = OnDrop.KEEP, *, soft: bool = False, partitions: int = 1) -> tuple[Mirror, Tailer]:
    """A mirror of three documents that has caught up."""
    mirror = Mirror(soft=soft, partitions=partitions)
    mirror.on_drop = on_drop
    mirror.insert(1, 2, 3, v="old")
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    assert mirror.identical()
    return mirror, tailer


def _audit(mirror: Mirror, table: str = TABLE) -> list[str]:
    return [action for ref, action in mirror.database.audit if ref == TableRef(SCHEMA, table)]


def _all_rows(mirror: Mirror, table: str = TABLE) -> int:
    return len(mirror.database.rows.get(TableRef(SCHEMA, table), {}))


@EVERY
@pytest.mark.parametrize("soft", [False, True])
def test_a_drop_does_with_the_rows_what_the_settings_say(on_drop: OnDrop, soft: bool) -> None:
    mirror, tailer = _begun(on_drop, soft=soft)
    mirror.source.drop(SCHEMA, TABLE)
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert _all_rows(mirror) == (3 if on_drop is OnDrop.KEEP or (soft and on_drop is OnDrop.TRUNCATE) else 0)
    assert (REF in mirror.database.shapes) == (on_drop is not OnDrop.DROP)
    assert _audit(mirror) == [f"source table dropped: {on_drop}"]


@EVERY
def test_a_table_that_comes_again_has_what_came_since(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    mirror.source.drop(SCHEMA, TABLE)
    mirror.source.insert(SCHEMA, TABLE, {"_id": 2, "v": 7})
    mirror.source.insert(SCHEMA, TABLE, {"_id": "text", "w": [1]})
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.rows().keys() == {"2", "text"}
    assert _all_rows(mirror) == (4 if on_drop is OnDrop.KEEP else 2)


@EVERY
def test_changes_from_before_the_drop_that_are_applied_after_it(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    mirror.insert(4, v="late")
    mirror.source.update(SCHEMA, TABLE, 1, v="late")
    mirror.source.delete(SCHEMA, TABLE, 2)
    tailer.tick()
    mirror.source.drop(SCHEMA, TABLE)
    tailer.tick()
    mirror.insert(5, v="new")
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.rows().keys() == {"5"}
    kept = {key.text for key in mirror.database.rows[REF]} - {"5"}
    assert kept == ({"1", "3", "4"} if on_drop is OnDrop.KEEP else set())


@EVERY
def test_a_table_of_which_nothing_was_known_before_the_drop_came_with_its_changes(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    mirror.source.insert(SCHEMA, "brief", {"_id": 1})
    mirror.source.drop(SCHEMA, "brief")
    mirror.catch_up(tailer)
    assert mirror.identical("brief")
    assert _all_rows(mirror, "brief") == (1 if on_drop is OnDrop.KEEP else 0)
    assert _audit(mirror, "brief") == [f"source table dropped: {on_drop}"]


def test_a_table_that_never_had_anything_is_not_made_known_by_a_drop() -> None:
    mirror, tailer = _begun()
    mirror.source.drop(SCHEMA, "empty")
    mirror.catch_up(tailer)
    assert mirror.metadata.partitions(SCHEMA) == {TABLE: 1}
    assert mirror.database.audit == []


@EVERY
def test_a_rename_brings_the_documents_under_the_other_name(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    mirror.source.rename(SCHEMA, TABLE, "archive")
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.identical("archive")
    assert mirror.rows("archive").keys() == {"1", "2", "3"}
    assert _audit(mirror, "archive") == ["source table replaced: to be read again"]


@EVERY
@pytest.mark.parametrize("soft", [False, True])
def test_a_rename_over_a_table_replaces_its_documents(on_drop: OnDrop, soft: bool) -> None:
    mirror, tailer = _begun(on_drop, soft=soft)
    mirror.source.insert(SCHEMA, "drafts", {"_id": 3, "v": "draft"})
    mirror.source.insert(SCHEMA, "drafts", {"_id": 9, "v": "draft"})
    mirror.catch_up(tailer)
    mirror.source.rename(SCHEMA, "drafts", TABLE)
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.rows().keys() == {"3", "9"}
    assert mirror.identical("drafts")
    assert mirror.metadata.tables(SCHEMA)[-1].snapshot is SnapshotState.DONE


def test_rows_stay_until_those_that_replace_them_are_there() -> None:
    mirror, tailer = _begun()
    mirror.source.insert(SCHEMA, "drafts", {"_id": 3, "v": "draft"})
    mirror.source.rename(SCHEMA, "drafts", TABLE)
    tailer.tick()
    tailer.tick()
    for _ in range(3):
        mirror.snapshots.tick()
        assert mirror.rows().keys() == {"1", "2", "3"}
    mirror.work()
    assert {number: row.fields["v"] for number, row in mirror.rows().items()} == {"1": "old", "2": "old", "3": "draft"}
    mirror.catch_up(tailer)
    assert mirror.identical()


@pytest.mark.parametrize("soft", [False, True])
def test_a_source_that_is_idle_is_read_at_the_very_time_of_the_rename(soft: bool) -> None:
    mirror, tailer = _begun(soft=soft)
    mirror.source.rename(SCHEMA, TABLE, "archive")
    mirror.source.insert(SCHEMA, "drafts", {"_id": 1, "v": "draft"})
    mirror.source.rename(SCHEMA, "drafts", "archive")
    renamed = mirror.source.log[-1].ts
    mirror.advance = lambda seconds: None  # type: ignore[method-assign]
    for _ in range(4):
        tailer.check()
        tailer.tick()
        mirror.snapshots.tick()
        mirror.work()
    assert mirror.source.now() == renamed
    assert mirror.identical("archive")
    assert {row.ts for row in mirror.rows("archive").values()} == {renamed}


@EVERY
def test_renames_in_a_row(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    for before, after in ((TABLE, "b"), ("b", "c"), ("c", "d")):
        mirror.source.rename(SCHEMA, before, after)
    mirror.source.insert(SCHEMA, "b", {"_id": 7})
    mirror.catch_up(tailer)
    for table in (TABLE, "b", "c", "d"):
        assert mirror.identical(table), table
    assert mirror.rows("d").keys() == {"1", "2", "3"}
    assert mirror.rows("b").keys() == {"7"}


@EVERY
def test_two_tables_swap_their_names(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    mirror.source.insert(SCHEMA, "carts", {"_id": 8})
    mirror.catch_up(tailer)
    for before, after in ((TABLE, "x"), ("carts", TABLE), ("x", "carts")):
        mirror.source.rename(SCHEMA, before, after)
    mirror.catch_up(tailer)
    for table in (TABLE, "carts", "x"):
        assert mirror.identical(table), table


@EVERY
def test_a_table_that_is_dropped_during_its_first_load(on_drop: OnDrop) -> None:
    mirror = Mirror(piece=1)
    mirror.on_drop = on_drop
    mirror.insert(1, 2, 3)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.snapshots.tick()

    def drop() -> None:
        mirror.source.drop(SCHEMA, TABLE)
        mirror.insert(2, v="new")
        tailer.tick()

    # Read, and then written when the table has been dropped meanwhile.
    mirror.meanwhile["source.read"] = [lambda: None, drop]
    mirror.work()
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.rows().keys() == {"2"}
    assert not mirror.metadata.tables(SCHEMA)[0].snapshot.open


def test_a_loader_that_wakes_up_after_the_table_is_gone_does_not_make_it_again() -> None:
    mirror = Mirror()
    mirror.on_drop = OnDrop.DROP
    mirror.insert(1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.snapshots.tick()

    def drop() -> None:
        mirror.source.drop(SCHEMA, TABLE)
        tailer.tick()

    mirror.meanwhile["source.read"] = [drop]
    mirror.work()
    mirror.catch_up(tailer)
    assert mirror.database.shapes == {}


@EVERY
@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize(
    "call",
    [
        "destination.drop",
        "metadata.replace_table",
        "metadata.add_tables",
        "logs.append",
        "logs.appended",
        "wakeups.schedule",
    ],
)
def test_events_whose_batch_is_cut_off_anywhere_are_done_again(call: str, on_drop: OnDrop, over: bool) -> None:
    mirror, tailer = _begun(on_drop)
    if over:
        mirror.source.insert(SCHEMA, "archive", {"_id": 1, "v": "before"})
        mirror.catch_up(tailer)
    mirror.insert(4, v="late")
    mirror.source.rename(SCHEMA, TABLE, "archive")
    mirror.source.insert(SCHEMA, TABLE, {"_id": 1, "v": "new"})
    mirror.source.insert(SCHEMA, "late", {"_id": 1})
    mirror.fail[call] = [Transient("not now"), Transient("nor now")]
    for _ in range(2):
        with pytest.raises(Transient):
            _until_it_fails(tailer)
        tailer.close()
    mirror.catch_up(tailer)
    for table in (TABLE, "archive", "late"):
        assert mirror.identical(table), table
    assert _audit(mirror) == [f"source table dropped: {on_drop}"]
    assert _audit(mirror, "archive") == ["source table replaced: to be read again"]


def _until_it_fails(tailer: Tailer) -> None:
    for _ in range(5):
        tailer.tick()


@EVERY
def test_another_tailer_that_does_it_later_changes_nothing(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    frozen = mirror.tailer()
    frozen.tick()
    mirror.source.drop(SCHEMA, TABLE)
    mirror.insert(1, v="new")
    mirror.source.insert(SCHEMA, "drafts", {"_id": 5})
    mirror.source.rename(SCHEMA, "drafts", "archive")
    mirror.source.insert(SCHEMA, "archive", {"_id": 6})
    mirror.catch_up(tailer)
    audited = list(mirror.database.audit)
    mirror.catch_up(frozen)
    assert mirror.database.audit == audited
    for table in (TABLE, "drafts", "archive"):
        assert mirror.identical(table), table


@EVERY
def test_a_step_that_waited_for_long_finds_that_its_changes_are_void(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop)
    mirror.insert(4, v="late")
    tailer.tick()
    mirror.source.drop(SCHEMA, TABLE)

    def gone() -> None:
        tailer.tick()

    mirror.meanwhile["transaction.lock_partition"] = [gone]
    mirror.work()
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert ("4" in {key.text for key in mirror.database.rows.get(REF, {})}) == (on_drop is OnDrop.KEEP)


@EVERY
def test_more_than_one_partition(on_drop: OnDrop) -> None:
    mirror, tailer = _begun(on_drop, partitions=3)
    mirror.insert(*range(10, 30), v="late")
    tailer.tick()
    mirror.source.drop(SCHEMA, TABLE)
    mirror.insert(*range(20, 25), v="new")
    mirror.catch_up(tailer)
    assert mirror.identical()
    mirror.source.rename(SCHEMA, TABLE, "archive")
    mirror.source.rename(SCHEMA, "archive", TABLE)
    mirror.insert(*range(40, 45))
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.identical("archive")


def test_a_table_is_swept_when_the_stream_has_come_past_what_was_loaded() -> None:
    """Or what it still brings would make the rows of deleted documents anew, and they would go twice."""
    mirror, tailer = _begun()
    mirror.source.insert(SCHEMA, "drafts", {"_id": 2, "v": "draft"})
    mirror.source.rename(SCHEMA, "drafts", TABLE)
    mirror.advance(CHECK_SECONDS)
    tailer.tick()
    mirror.insert(7)
    mirror.source.delete(SCHEMA, TABLE, 7)
    mirror.snapshots.tick()
    mirror.work()
    for _ in range(2):
        mirror.advance(CHECK_SECONDS)
        mirror.snapshots.tick()
        assert mirror.rows().keys() == {"1", "2", "3"}, "loaded, and not swept"
    mirror.catch_up(tailer)
    assert mirror.rows().keys() == {"2"}
    assert mirror.identical()


def test_a_sweep_waits_for_no_other_table() -> None:
    mirror, tailer = _begun()
    mirror.source.insert(SCHEMA, "drafts", {"_id": 2, "v": "draft"})
    mirror.source.rename(SCHEMA, "drafts", TABLE)
    mirror.source.insert(SCHEMA, "carts", {"_id": 1})
    mirror.advance(CHECK_SECONDS)
    tailer.tick()
    mirror.snapshots.tick()
    mirror.wakeups.take()
    mirror.metadata.block(TableRef(SCHEMA, "carts"), "altered by hand", None)
    for _ in range(4):
        mirror.loader().load(REF, 2, "cid", going_on=lambda: True)
        mirror.advance(CHECK_SECONDS)
        tailer.tick()
        mirror.snapshots.tick()
    assert mirror.metadata.blocked(SCHEMA)
    assert mirror.rows().keys() == {"2"}


def test_a_scheduler_that_saw_everything_loaded_does_not_sweep_what_was_replaced_since() -> None:
    mirror, tailer = _begun(soft=True)

    def replace() -> None:
        mirror.source.insert(SCHEMA, "drafts", {"_id": 2, "v": "draft"})
        mirror.source.rename(SCHEMA, "drafts", TABLE)
        mirror.advance(CHECK_SECONDS)
        tailer.tick()
        tailer.tick()

    replace()
    mirror.snapshots.tick()
    mirror.work()
    mirror.snapshots.tick()
    for _ in range(2):
        mirror.advance(CHECK_SECONDS)
        tailer.tick()
    mirror.meanwhile["metadata.missing_chunks"] = [replace]
    mirror.snapshots.tick()
    assert "destination.sweep" in mirror.calls, "it tried"
    assert mirror.rows().keys() == {"1", "2", "3"}
    mirror.catch_up(tailer)
    assert mirror.identical()


@pytest.mark.parametrize("error", [Fatal("no privilege", remedy="grant it"), Poison("a foreign key", remedy="drop it")])
def test_a_drop_that_a_person_must_make_possible_blocks_that_table_alone(error: WarpError) -> None:
    mirror, tailer = _begun(OnDrop.DROP)
    mirror.source.drop(SCHEMA, TABLE)
    mirror.source.insert(SCHEMA, TABLE, {"_id": 9})
    mirror.source.insert(SCHEMA, "carts", {"_id": 1})
    mirror.fail["destination.drop"] = [error, error]

    def blocked() -> list[str]:
        return [table.ref.table for table in mirror.metadata.tables(SCHEMA) if table.blocked]

    mirror.catch_up(tailer)
    assert blocked() == [TABLE]
    assert mirror.rows().keys() == {"1", "2", "3"}, "as they were"
    assert len(mirror.database.rows[TableRef(SCHEMA, "carts")]) == 1, "others go on"
    mirror.catch_up(tailer)
    assert mirror.calls.count("destination.drop") == 1, "not in a hot loop"
    for _ in range(2):
        mirror.advance(MENDED_SECONDS)
        mirror.catch_up(tailer)
    assert blocked() == []
    assert mirror.identical()
    assert mirror.rows().keys() == {"9"}
    assert tailer.caught_up


def test_a_blocked_table_that_went_unseen_is_not_blocked_any_more() -> None:
    mirror, tailer = _begun(OnDrop.KEEP)
    mirror.metadata.block(REF, "no privilege", "grant it")
    tailer.close()
    mirror.source.drop(SCHEMA, TABLE)
    mirror.source.lose_history()
    mirror.catch_up(mirror.tailer())
    assert not mirror.metadata.blocked(SCHEMA)


def test_a_table_whose_drop_waits_for_a_person_keeps_its_number_of_partitions_meanwhile() -> None:
    """Or its new markers would lie beyond the changes that are kept back."""
    mirror, tailer = _begun(OnDrop.TRUNCATE)
    mirror.insert(4)
    tailer.tick()
    mirror.work()  # a marker that is ahead of the checkpoint: the stream must be read up to it first
    tailer.close()
    mirror.source.drop(SCHEMA, TABLE)
    mirror.insert(9)
    mirror.fail["destination.drop"] = [Fatal("no privilege", remedy="grant it")]
    mirror.partitions = 2
    later = mirror.tailer()
    for _ in range(5):
        later.tick()
    for _ in range(2):
        mirror.advance(MENDED_SECONDS)
        mirror.catch_up(later)
    assert mirror.identical()
    assert mirror.rows().keys() == {"9"}
