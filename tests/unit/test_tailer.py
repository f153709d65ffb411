"""One tailer, round by round, over in-memory parts."""

from __future__ import annotations

import pytest

from scheduler.tailer import CHECK_SECONDS, FULL_SECONDS
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from warp.change import Partition
from warp.errors import StreamInvalid, Transient
from warp.metadata.base import SnapshotState
from warp.sources.base import StreamPoint
from warp.transport.base import ENTRY_OVERHEAD, apply_wakeup

PARTITION = Partition(*REF, 0, 1)


def _checkpoint(mirror: Mirror) -> StreamPoint:
    state = mirror.metadata.schema(SCHEMA)
    assert state is not None
    return state.checkpoint


def test_the_first_start_notes_where_the_stream_begins_before_it_lists_the_tables() -> None:
    mirror = Mirror(partitions=3)
    mirror.insert(1, 2)
    mirror.tailer().tick()
    calls = mirror.calls
    assert calls.index("source.open_stream") < calls.index("source.tables") < calls.index("metadata.begin_schema")
    assert mirror.metadata.partitions(SCHEMA) == {TABLE: 3}
    assert mirror.metadata.tables(SCHEMA)[0].snapshot is SnapshotState.PLANNED
    mirror.insert(3)
    assert _checkpoint(mirror).ts <= mirror.source.log[-1].ts


def test_a_change_is_sent_and_somebody_is_woken() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, 2)
    tailer.tick()
    assert len(mirror.entries()) == 1
    taken = mirror.wakeups.take()
    assert taken is not None
    assert taken[0] == apply_wakeup(PARTITION)
    assert not tailer.caught_up


def test_what_is_sent_is_a_chain() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    for number in range(3):
        mirror.insert(number)
        tailer.tick()
    first, second, third = mirror.entries()
    assert first[0] == ""
    assert (first[1], second[1]) == (second[0], third[0])


def test_the_correlation_id_goes_from_the_entry_to_the_wakeup() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    (item,) = mirror.logs.read(PARTITION, None, 10)
    taken = mirror.wakeups.take()
    assert taken is not None
    assert taken[1] == item.entry.correlation_id


def test_a_table_that_the_stream_brings_is_noted_and_has_nothing_to_load() -> None:
    mirror = Mirror(partitions=2)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    (table,) = mirror.metadata.tables(SCHEMA)
    assert (table.partitions, table.snapshot) == (2, SnapshotState.NONE)


def test_a_table_that_another_tailer_noted_is_routed_by_its_number() -> None:
    mirror = Mirror(partitions=2)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.metadata.add_tables(SCHEMA, {TABLE: 3})
    mirror.insert(1)
    tailer.tick()
    stored = [mirror.logs.read(Partition(*REF, number, 3), None, 10) for number in range(3)]
    assert [item.entry.partition.of for items in stored for item in items] == [3]


def test_the_checkpoint_stays_before_what_is_not_applied() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    start = _checkpoint(mirror)
    mirror.insert(1)
    tailer.tick()
    mirror.insert(2)
    mirror.advance(CHECK_SECONDS)
    tailer.tick()
    first = mirror.source.log[0].position
    assert start.position <= _checkpoint(mirror).position < first
    mirror.work()
    tailer.check()
    assert _checkpoint(mirror).position >= mirror.source.log[-1].position
    assert tailer.caught_up


def test_an_idle_stream_takes_the_checkpoint_along() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    before = _checkpoint(mirror)
    for _ in range(3):
        mirror.advance(60)
        tailer.tick()
        tailer.tick()
    assert _checkpoint(mirror).position > before.position
    assert _checkpoint(mirror).ts > before.ts


def test_the_checkpoint_is_saved_every_second_and_not_more_often() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.calls.clear()
    for _ in range(10):
        tailer.tick()
    assert "metadata.save_checkpoint" not in mirror.calls
    mirror.advance(CHECK_SECONDS)
    tailer.tick()
    assert mirror.calls.count("metadata.save_checkpoint") == 1


def test_what_the_logs_lost_is_sent_again() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, 2)
    tailer.tick()
    sent = mirror.entries()
    mirror.broker.flush()
    mirror.advance(CHECK_SECONDS)
    tailer.tick()
    tailer.tick()
    assert mirror.entries() == sent
    mirror.work()
    assert mirror.identical()


def test_what_a_worker_removed_between_two_looks_is_not_lost() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    mirror.advance(CHECK_SECONDS)
    opened = mirror.calls.count("source.open_stream")
    mirror.meanwhile["logs.tails"] = [mirror.work]
    tailer.tick()
    assert mirror.rows().keys() == {"1"}
    assert mirror.calls.count("source.open_stream") == opened


def test_a_worker_that_misses_something_gets_it_again() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    mirror.broker.flush()
    mirror.insert(2)
    tailer.tick()
    mirror.work()
    assert mirror.rows() == {}
    tailer.check()
    tailer.tick()
    mirror.work()
    assert mirror.identical()


def test_a_worker_that_misses_something_gets_it_again_also_under_steady_load() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    mirror.broker.flush()
    mirror.insert(2)
    tailer.tick()
    mirror.work()
    mirror.insert(3)
    tailer.tick()
    assert mirror.logs.tails([PARTITION]) == [mirror.source.log[-1].position], "nothing seems to be missing"
    tailer.check()
    tailer.tick()
    mirror.work()
    assert mirror.identical()


def test_a_restart_continues_after_the_markers() -> None:
    mirror = Mirror()
    first = mirror.tailer()
    first.tick()
    mirror.insert(1)
    first.tick()
    mirror.work()
    mirror.insert(2)
    second = mirror.tailer()
    second.tick()
    second.tick()
    assert [prev for prev, _ in mirror.entries()] == [mirror.source.log[0].position]


def test_two_tailers_send_the_same_and_nothing_is_applied_twice() -> None:
    mirror = Mirror()
    one, two = mirror.tailer(), mirror.tailer()
    one.tick()
    two.tick()
    mirror.insert(1, 2, 3)
    for tailer in (one, two):
        tailer.tick()
    assert len(mirror.entries()) == 2
    mirror.work()
    assert (mirror.identical(), mirror.metadata.tables(SCHEMA)[0].changes_applied) == (True, 3)


def test_a_stream_that_was_cut_is_opened_where_it_was() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    mirror.source.cut_streams()
    mirror.insert(2)
    tailer.tick()
    tailer.tick()
    first, second = mirror.entries()
    assert first[1] == second[0]


def test_a_stream_that_cannot_be_opened_at_once_is_the_processs_business() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.source.cut_streams()
    mirror.fail["source.open_stream"] = [StreamInvalid("not yet")]
    with pytest.raises(StreamInvalid):
        tailer.tick()
    tailer.close()
    mirror.insert(1)
    tailer.tick()
    tailer.tick()
    mirror.work()
    assert mirror.identical()


@pytest.mark.parametrize("call", ["logs.append", "logs.appended", "wakeups.schedule", "metadata.add_tables"])
def test_what_could_not_be_sent_is_sent_after_starting_over(call: str) -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, 2)
    mirror.fail[call] = [Transient("not now")]
    with pytest.raises(Transient):
        tailer.tick()
    tailer.close()
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert _checkpoint(mirror).position >= mirror.source.log[-1].position


def test_at_the_high_water_mark_it_stops_reading_until_there_is_room() -> None:
    mirror = Mirror()
    mirror.high_water_mark = 1
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    mirror.insert(2)
    mirror.calls.clear()
    before = mirror.time
    for _ in range(5):
        tailer.tick()
    assert "stream.next_batch" not in mirror.calls
    assert mirror.time > before + 4 * FULL_SECONDS, "it waits instead of spinning"
    mirror.work()
    for _ in range(3):
        tailer.tick()
    mirror.work()
    assert mirror.identical()


def test_a_share_of_what_redis_may_hold_is_a_mark_too() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.broker.capacity = 2 * ENTRY_OVERHEAD
    mirror.insert(1)
    tailer.tick()
    tailer.check()
    mirror.insert(2)
    mirror.calls.clear()
    tailer.tick()
    assert "stream.next_batch" not in mirror.calls
    mirror.broker.capacity = None
    mirror.catch_up(tailer)
    assert mirror.identical()


def test_another_number_of_partitions_holds_when_all_partitions_stand_at_one_position() -> None:
    mirror = Mirror(partitions=2)
    first = mirror.tailer()
    first.tick()
    mirror.insert(*range(8))
    first.tick()
    taken = mirror.wakeups.take()
    assert taken is not None
    mirror.drain.apply(*taken)  # one of the two partitions; the other one's wake-up is lost
    assert mirror.wakeups.take() is not None
    mirror.partitions = 4
    second = mirror.tailer()
    for _ in range(5):
        second.tick()
    assert mirror.metadata.partitions(SCHEMA) == {TABLE: 2}, "what the other partition lacks must be applied first"
    mirror.reconcile.tick()
    mirror.advance(10)
    mirror.reconcile.tick()
    mirror.work()
    for _ in range(3):
        second.tick()
    assert mirror.metadata.partitions(SCHEMA) == {TABLE: 4}
    assert len(set(mirror.metadata.markers(SCHEMA).values())) == 1
    mirror.insert(*range(10, 30))
    mirror.catch_up(second)
    assert mirror.identical()
    assert not mirror.logs.backlog(SCHEMA)


def test_a_tailer_that_routes_by_an_old_number_settles_nothing_and_starts_over() -> None:
    mirror = Mirror()
    old = mirror.tailer()
    old.tick()
    mirror.insert(1)
    mirror.catch_up(old)
    mirror.partitions = 3
    new = mirror.tailer()
    for _ in range(3):
        new.tick()
    assert mirror.metadata.partitions(SCHEMA) == {TABLE: 3}
    before = _checkpoint(mirror)
    mirror.insert(*range(10, 20))
    old.tick()
    mirror.work()
    assert not [number for number in mirror.rows() if number != "1"], "nobody takes what is routed by another number"
    old.check()
    assert _checkpoint(mirror).position <= mirror.source.log[1].position
    assert _checkpoint(mirror).position >= before.position
    mirror.catch_up(new)
    assert mirror.identical()


def test_finishing_saves_the_checkpoint_once_more() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1)
    tailer.tick()
    mirror.work()
    tailer.finish()
    assert _checkpoint(mirror).position >= mirror.source.log[-1].position
    tailer.finish()
    tailer.close()
