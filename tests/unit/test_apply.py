"""One worker's steps over in-memory parts: what commits together, and what is left when it does not."""

from __future__ import annotations

import pytest

from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import key
from warp.change import BEGINNING, Key, KeyKind, Operation, Partition
from warp.config import TableSettings
from warp.errors import Fatal, ServerUnreachable, Transient
from workers.apply import Outcome

PARTITION = Partition(*REF, 0, 1)


def _sent(mirror: Mirror, *, changes: int = 0) -> Mirror:
    """A mirror with documents 1 to 3, and so many more changes, in its log; nothing is loaded."""
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, 2, 3, v=1)
    for number in range(changes):
        mirror.source.update(SCHEMA, TABLE, 1, v=number)
    tailer.tick()
    return mirror


def _marker(mirror: Mirror) -> str:
    return mirror.metadata.markers(SCHEMA).get(PARTITION, BEGINNING)


def test_a_step_applies_what_lies_in_the_log_and_removes_it() -> None:
    mirror = _sent(Mirror())
    assert mirror.applier().step(PARTITION) is Outcome.APPLIED
    assert (mirror.identical(), mirror.entries()) == (True, [])
    assert _marker(mirror) == mirror.source.log[-1].position
    assert mirror.applier().step(PARTITION) is Outcome.EMPTY


def test_entries_are_removed_only_after_the_commit() -> None:
    mirror = _sent(Mirror())
    mirror.applier().step(PARTITION)
    assert mirror.calls.index("destination.committed") < mirror.calls.index("logs.remove")


def test_the_log_is_read_only_under_the_lock() -> None:
    mirror = _sent(Mirror())
    mirror.calls.clear()
    mirror.applier().step(PARTITION)
    assert mirror.calls.index("transaction.lock_partition") < mirror.calls.index("logs.read")


def test_a_partition_that_somebody_else_has_is_left_alone() -> None:
    mirror = _sent(Mirror())
    with mirror.destination.transaction() as transaction:
        transaction.lock_partition(PARTITION)
        assert mirror.applier().step(PARTITION) is Outcome.BUSY
    assert len(mirror.entries()) == 1


@pytest.mark.parametrize(
    "call",
    ["transaction.shape", "transaction.delete", "transaction.upsert", "transaction.advance", "destination.commit"],
)
@pytest.mark.parametrize("error", [Transient("not now"), Fatal("never"), ServerUnreachable("a", "b", "c")])
def test_a_step_that_fails_leaves_everything_as_it_was(call: str, error: Exception) -> None:
    mirror = _sent(Mirror())
    mirror.fail[call] = [error]
    with pytest.raises(type(error)):
        mirror.applier().step(PARTITION)
    assert (mirror.rows(), _marker(mirror), len(mirror.entries())) == ({}, BEGINNING, 1)
    assert mirror.applier().step(PARTITION) is Outcome.APPLIED
    assert mirror.identical()


def test_a_commit_whose_answer_was_lost_is_not_applied_twice() -> None:
    mirror = _sent(Mirror())
    mirror.applier().step(PARTITION)
    mirror.source.update(SCHEMA, TABLE, 1, v=2)
    tailer = mirror.tailer()
    tailer.tick()
    tailer.tick()
    mirror.fail["destination.committed"] = [ServerUnreachable("PostgreSQL", "somewhere", "gone")]
    with pytest.raises(ServerUnreachable):
        mirror.applier().step(PARTITION)
    rows = mirror.rows()
    assert mirror.applier().step(PARTITION) is Outcome.APPLIED
    assert (mirror.rows(), mirror.entries()) == (rows, [])
    assert mirror.metadata.tables(SCHEMA)[0].changes_applied == 4


def test_a_worker_that_dies_after_its_commit_leaves_entries_that_say_nothing_new() -> None:
    mirror = _sent(Mirror())
    mirror.fail["logs.remove"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        mirror.applier().step(PARTITION)
    assert (mirror.identical(), len(mirror.entries())) == (True, 1)
    assert mirror.applier().step(PARTITION) is Outcome.APPLIED
    assert mirror.entries() == []


def test_updates_are_looked_up_once_and_written_as_of_the_lookup() -> None:
    mirror = _sent(Mirror(), changes=5)
    mirror.advance(5)
    mirror.applier().step(PARTITION)
    assert mirror.calls.count("source.lookup") == 1
    assert mirror.identical()
    assert mirror.rows()["1"].ts == mirror.source.now() > mirror.rows()["2"].ts


def test_an_update_whose_document_is_gone_writes_nothing() -> None:
    mirror = Mirror(batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, v=1)
    mirror.source.update(SCHEMA, TABLE, 1, v=2)
    mirror.source.delete(SCHEMA, TABLE, 1)
    tailer.tick()
    applier = mirror.applier()
    assert [applier.step(PARTITION) for _ in range(4)] == [Outcome.APPLIED] * 3 + [Outcome.EMPTY]
    assert (mirror.rows(), _marker(mirror)) == ({}, mirror.source.log[-1].position)


def test_a_change_that_is_older_than_what_was_looked_up_changes_nothing() -> None:
    mirror = Mirror(batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, v=1)
    mirror.source.update(SCHEMA, TABLE, 1, v=2)
    mirror.source.replace(SCHEMA, TABLE, {"_id": 1, "v": 3})
    mirror.source.update(SCHEMA, TABLE, 1, v=4)
    tailer.tick()
    applier = mirror.applier()
    seen = []
    while applier.step(PARTITION) is Outcome.APPLIED:
        seen.append(mirror.rows()["1"].fields["v"])
    assert seen == [1, 4, 4, 4]


def test_a_step_takes_about_as_many_changes_as_the_batch_size_says() -> None:
    mirror = Mirror(batch_size=2)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(*range(6))
    tailer.tick()
    assert len(mirror.entries()) == 3
    mirror.applier().step(PARTITION)
    assert (len(mirror.rows()), len(mirror.entries())) == (2, 2)


def test_a_step_is_bounded_by_the_bytes_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = Mirror(batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(*range(10), text="x" * 1000)
    tailer.tick()
    mirror.batch_size = 1000
    monkeypatch.setattr("workers.apply.READ_BYTES", 3000)
    mirror.applier().step(PARTITION)
    assert 2 <= len(mirror.rows()) <= 4


def test_changes_that_come_twice_are_counted_once() -> None:
    mirror = Mirror()
    one, two = mirror.tailer(), mirror.tailer()
    one.tick()
    two.tick()
    mirror.insert(1, 2)
    one.tick()
    mirror.insert(3)
    two.tick()
    first, second = mirror.entries()
    assert first[1] < second[1]
    assert first[0] == second[0]
    mirror.applier().step(PARTITION)
    assert (mirror.identical(), mirror.metadata.tables(SCHEMA)[0].changes_applied) == (True, 3)


def test_poison_is_parked_with_its_change_and_the_others_go_on() -> None:
    mirror = Mirror()
    mirror.database.poison.add(key(2))
    _sent(mirror)
    mirror.applier().step(PARTITION)
    assert mirror.rows().keys() == {"1", "3"}
    ((_, position, parked), stored) = next(iter(mirror.database.letters.items()))
    letter = stored.letter
    assert (parked, letter.operation, letter.error_class) == (key(2), Operation.INSERT, "Poison")
    assert position == mirror.source.log[1].position
    (change,) = mirror.source.decode(letter.payload)
    assert (change.key, change.position, change.record) == (key(2), position, {"v": 1})
    assert _marker(mirror) == mirror.source.log[-1].position


def test_dead_letters_commit_with_the_position() -> None:
    mirror = Mirror()
    mirror.database.poison.add(key(2))
    _sent(mirror)
    mirror.fail["destination.commit"] = [Transient("not now")]
    with pytest.raises(Transient):
        mirror.applier().step(PARTITION)
    assert (mirror.database.letters, _marker(mirror)) == ({}, BEGINNING)


def test_a_gap_is_reported_and_what_lies_behind_it_removed() -> None:
    mirror = Mirror(batch_size=1)
    _sent(mirror)
    first, *_ = mirror.logs.read(PARTITION, None, 1)
    mirror.logs.remove(PARTITION, [first])
    applier = mirror.applier()
    while applier.step(PARTITION) is not Outcome.EMPTY:
        pass
    assert (mirror.rows(), mirror.entries(), _marker(mirror)) == ({}, [], BEGINNING)
    assert mirror.logs.take_resends(SCHEMA, first.entry.epoch)


def test_an_entry_of_another_number_of_partitions_is_removed_unapplied() -> None:
    mirror = _sent(Mirror())
    mirror.metadata.repartition(REF, 1, 2, mirror.source.log[0].position)
    assert mirror.applier().step(PARTITION) is Outcome.APPLIED
    assert (mirror.rows(), mirror.entries()) == ({}, [])


def test_the_table_is_made_and_widened_outside_of_the_step() -> None:
    mirror = _sent(Mirror())
    mirror.applier().step(PARTITION)
    assert mirror.database.shapes[REF].version == 1
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(7, new=1.5)
    mirror.source.insert(SCHEMA, TABLE, {"_id": "seven"})
    tailer.tick()
    mirror.applier().step(PARTITION)
    shape = mirror.database.shapes[REF]
    assert (shape.version, set(shape.columns), shape.mixed_keys) == (2, {"v", "new"}, True)
    assert mirror.identical()


def test_deletes_of_documents_that_were_never_there_need_no_row() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    mirror.source.delete(SCHEMA, TABLE, 1)
    tailer.tick()
    assert mirror.applier().step(PARTITION) is Outcome.APPLIED
    assert (mirror.rows(), _marker(mirror)) == ({}, mirror.source.log[-1].position)


@pytest.mark.parametrize("soft", [False, True])
def test_deletes_are_hard_or_soft_as_the_table_is_configured(soft: bool) -> None:
    mirror = Mirror(soft=soft)
    _sent(mirror).applier().step(PARTITION)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.source.delete(SCHEMA, TABLE, 2)
    tailer.tick()
    mirror.applier().step(PARTITION)
    assert mirror.rows().keys() == {"1", "3"}
    assert (key(2) in mirror.database.rows[REF]) is soft
    assert mirror.identical()


def test_deletes_leave_tombstones_only_while_a_snapshot_is_open() -> None:
    mirror = Mirror()
    mirror.insert(1, 2, 3)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.source.delete(SCHEMA, TABLE, 1)
    tailer.tick()
    mirror.applier().step(PARTITION)
    assert mirror.database.tombstones[REF].keys() == {key(1)}
    mirror.catch_up(tailer)
    assert mirror.database.tombstones == {}
    mirror.source.delete(SCHEMA, TABLE, 2)
    mirror.catch_up(tailer)
    assert (mirror.database.tombstones, mirror.identical()) == ({}, True)


def test_settings_are_asked_for_by_table() -> None:
    mirror = _sent(Mirror())
    asked = []

    def settings(ref: object) -> TableSettings:
        asked.append(ref)
        return mirror.settings()

    applier = mirror.applier()
    applier._settings = settings
    applier.step(PARTITION)
    assert set(asked) == {REF}


def test_a_key_that_looks_like_another_is_another() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    for identity in (8, "8"):
        mirror.source.insert(SCHEMA, TABLE, {"_id": identity, "v": str(type(identity))})
    tailer.tick()
    mirror.applier().step(PARTITION)
    assert mirror.database.rows[REF].keys() == {key(8), Key(KeyKind.STRING, "8")}
    assert mirror.identical()


def _lost(mirror: Mirror) -> list[tuple[str, int]]:
    return [(error.error_class, error.occurrences) for error in mirror.metadata.errors(SCHEMA, 10)]


def test_updates_that_are_lost_with_their_collection_are_noted_with_the_step() -> None:
    mirror = _sent(Mirror())
    mirror.applier().step(PARTITION)
    tailer = mirror.tailer()
    mirror.insert(4, 5, v=1)
    for number in (1, 4):
        mirror.source.update(SCHEMA, TABLE, number, v=2)
    mirror.source.update(SCHEMA, TABLE, 2, v=2)
    mirror.source.delete(SCHEMA, TABLE, 2)
    mirror.source.drop(SCHEMA, TABLE)
    tailer.tick()
    mirror.fail["destination.commit"] = [Transient("not now")]
    with pytest.raises(Transient):
        mirror.applier().step(PARTITION)
    assert _lost(mirror) == []
    mirror.applier().step(PARTITION)
    assert _lost(mirror) == [("UpdatesLost", 2)], "documents 1 and 4"
    assert {key: row.fields["v"] for key, row in mirror.database.rows[REF].items()} == {key(1): 1, key(3): 1, key(5): 1}


def test_a_document_that_was_deleted_a_moment_later_is_not_lost() -> None:
    mirror = _sent(Mirror(batch_size=1))
    mirror.source.drop(SCHEMA, TABLE)
    mirror.catch_up(mirror.tailer())
    mirror.insert(7, 8, v=1)
    mirror.catch_up(mirror.tailer())
    tailer = mirror.tailer()
    mirror.source.update(SCHEMA, TABLE, 7, v=2)
    mirror.source.delete(SCHEMA, TABLE, 7)
    tailer.tick()
    while mirror.applier().step(PARTITION) is Outcome.APPLIED:
        pass
    assert (_lost(mirror), sorted(mirror.rows())) == ([], ["8"])
