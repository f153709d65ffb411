"""What a wake-up has a worker do: turns, leases, failures; and the reconcile loop, which makes up for lost ones."""

from __future__ import annotations

import pytest

from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from warp.change import Operation, Partition
from warp.errors import ConfigurationError, Fatal, Poison, Refused, ServerUnreachable, Transient, WarpError
from warp.metadata.base import Block
from warp.retry import LONGEST_SECONDS, MENDED_SECONDS
from warp.transport.base import apply_wakeup, load_wakeup
from warp.transport.keys import LEASE_SECONDS
from workers.drain import BUSY_SECONDS, PATIENCE_SECONDS, TURN_SECONDS, WorkFailed

PARTITION = Partition(*REF, 0, 1)
WORK = apply_wakeup(PARTITION)


def _sent(documents: int = 5) -> Mirror:
    """A mirror with an entry for each of so many documents in its log, whose wake-up has been taken."""
    mirror = Mirror(batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(*range(documents))
    tailer.tick()
    taken = mirror.wakeups.take()
    assert taken is not None
    assert taken[0] == WORK
    mirror.calls.clear()
    return mirror


def test_a_wake_up_drains_the_log_and_gives_the_lease_back() -> None:
    mirror = _sent()
    mirror.drain.apply(WORK, "cid")
    assert (mirror.identical(), mirror.entries()) == (True, [])
    assert mirror.wakeups.claim(WORK)


def test_the_lease_is_renewed_before_every_step() -> None:
    mirror = _sent(3)
    mirror.drain.apply(WORK, "cid")
    steps = [call for call in mirror.calls if call in ("wakeups.renew", "logs.remove")]
    assert steps == ["wakeups.renew", "logs.remove"] * 3 + ["wakeups.renew"]


def test_a_partition_is_put_back_when_its_turn_is_over() -> None:
    mirror = _sent(10)
    mirror.meanwhile["destination.committed"] = [lambda: mirror.advance(TURN_SECONDS)]
    mirror.drain.apply(WORK, "cid")
    assert 0 < len(mirror.rows()) < 10
    assert mirror.wakeups.take() == (WORK, "cid")


def test_a_partition_is_put_back_when_the_worker_is_to_stop() -> None:
    mirror = _sent(10)
    mirror.stop.set()
    mirror.drain.apply(WORK, "cid")
    assert len(mirror.rows()) == 1, "the step under way is finished"
    assert mirror.wakeups.take() == (WORK, "cid")


def test_a_partition_that_somebody_else_drains_is_left_to_them() -> None:
    mirror = _sent()
    with mirror.destination.transaction() as transaction:
        transaction.lock_partition(PARTITION)
        mirror.drain.apply(WORK, "cid")
    assert mirror.rows() == {}
    assert mirror.wakeups.revive([WORK], "cid") == 0, "they have the lease"


def test_a_partition_that_somebody_else_has_is_looked_at_again_soon() -> None:
    """Who has it may stand still, and be put out at any moment."""
    mirror = _sent(1)
    with mirror.destination.transaction() as transaction:
        transaction.lock_partition(PARTITION)
        mirror.drain.apply(WORK, "cid")
    mirror.advance(BUSY_SECONDS + 0.1)
    mirror.reconcile.tick()
    assert mirror.work() == 1
    assert mirror.identical()


def test_what_comes_between_the_last_look_and_the_release_is_not_left_lying() -> None:
    mirror = _sent(1)
    tailer = mirror.tailer()
    tailer.tick()

    def more() -> None:
        mirror.insert(100)
        tailer.tick()
        assert mirror.wakeups.take() is None, "the wake-up found the lease taken"

    mirror.meanwhile["wakeups.release"] = [more]
    mirror.drain.apply(WORK, "cid")
    assert mirror.identical()


@pytest.mark.parametrize("error", [Transient("not now"), ServerUnreachable("PostgreSQL", "somewhere", "gone")])
def test_a_failure_that_may_pass_is_tried_again_after_a_while(error: Exception) -> None:
    mirror = _sent()
    before = mirror.time
    mirror.fail["destination.transaction"] = [error, error, error]
    mirror.drain.apply(WORK, "cid")
    assert mirror.identical()
    assert mirror.time > before


def test_what_goes_on_failing_is_left_to_a_later_wake_up_and_others_are_served() -> None:
    mirror = _sent()
    before = mirror.time
    mirror.fail["destination.transaction"] = [Transient("not now") for _ in range(100)]
    mirror.drain.apply(WORK, "cid")
    assert mirror.time - before <= PATIENCE_SECONDS
    assert (mirror.rows(), len(mirror.entries())) == ({}, 5)
    mirror.fail.clear()
    assert mirror.reconcile.tick() == 0
    mirror.advance(LONGEST_SECONDS)
    assert mirror.reconcile.tick() == 1
    mirror.work()
    assert mirror.identical()


def test_a_worker_that_is_to_stop_does_not_try_again() -> None:
    mirror = _sent()
    mirror.stop.set()
    mirror.fail["destination.transaction"] = [Transient("not now")]
    mirror.drain.apply(WORK, "cid")
    assert mirror.calls.count("destination.transaction") == 1


def _block(mirror: Mirror) -> Block | None:
    [table] = mirror.metadata.tables(SCHEMA)
    return table.blocked


def _errors(mirror: Mirror) -> list[str]:
    return [kept.error for kept in mirror.metadata.errors(SCHEMA, 10)]


def test_what_a_person_must_mend_stops_the_table_and_is_tried_again_now_and_then() -> None:
    mirror = _sent()
    mirror.fail["destination.transaction"] = [Fatal("no privilege", remedy="grant it") for _ in range(2)]
    mirror.drain.apply(WORK, "cid")
    block = _block(mirror)
    assert block is not None
    assert (block.reason, block.remedy) == ("no privilege", "grant it")
    assert _errors(mirror) == ["no privilege"]
    assert len(mirror.entries()) == 5
    for _ in range(2):
        mirror.advance(MENDED_SECONDS - 0.1)
        assert mirror.reconcile.tick() == 0, "not in a hot loop"
        mirror.advance(0.2)
        assert mirror.reconcile.tick() == 1
        mirror.work()
    assert mirror.identical()
    assert _block(mirror) is None


def test_a_table_takes_changes_again_in_the_very_transaction_that_succeeds() -> None:
    mirror = _sent()
    mirror.metadata.block(REF, "altered", None)
    mirror.fail["transaction.advance"] = [Fatal("altered still")]
    mirror.drain.apply(WORK, "cid")
    assert _block(mirror) is not None
    mirror.drain.apply(WORK, "cid")
    assert _block(mirror) is None
    assert mirror.identical()


@pytest.mark.parametrize("error", [Refused("wrong password"), ConfigurationError("schema 'x' is not configured")])
def test_what_ails_more_than_the_table_does_not_block_it(error: WarpError) -> None:
    mirror = _sent()
    mirror.fail["destination.transaction"] = [error]
    mirror.drain.apply(WORK, "cid")
    assert _block(mirror) is None
    assert _errors(mirror) == [str(error)]
    mirror.advance(MENDED_SECONDS - 0.1)
    assert mirror.reconcile.tick() == 0


def test_poison_that_no_document_can_be_told_to_be_stops_the_table_and_loses_nothing() -> None:
    mirror = _sent()
    mirror.fail["transaction.advance"] = [Poison("a deferred constraint")]
    mirror.drain.apply(WORK, "cid")
    block = _block(mirror)
    assert block is not None
    assert block.reason == "a deferred constraint"
    assert len(mirror.entries()) == 5


def test_a_delete_that_is_refused_is_parked_and_the_others_go_on() -> None:
    mirror = _sent(8)
    mirror.drain.apply(WORK, "cid")
    mirror.batch_size = 100
    tailer = mirror.tailer()
    for number in range(4):
        mirror.source.delete(SCHEMA, TABLE, number)
    tailer.tick()
    mirror.fail["transaction.delete"] = [Poison("referenced by hand") for _ in range(3)]
    mirror.drain.apply(WORK, "cid")
    [stored] = mirror.database.letters.values()
    assert (stored.letter.operation, stored.letter.key.text) == (Operation.DELETE, "0")
    assert mirror.rows().keys() == {"0", "4", "5", "6", "7"}
    assert mirror.entries() == []


def test_a_defect_stops_the_table_and_is_shown_without_values() -> None:
    mirror = _sent()
    mirror.fail["destination.transaction"] = [ValueError("hunter2")]
    with pytest.raises(WorkFailed) as raised:
        mirror.drain.apply(WORK, "cid")
    assert "ValueError" in str(raised.value)
    assert "hunter2" not in str(raised.value)
    block = _block(mirror)
    assert block is not None
    assert block.reason.startswith("a defect of cartridge-warp: ValueError, ")
    assert "hunter2" not in block.reason


def test_where_nothing_can_be_noted_the_work_is_left_all_the_same() -> None:
    mirror = _sent()
    for call in ("destination.transaction", "metadata.block", "metadata.log_error", "wakeups.postpone"):
        mirror.fail[call] = [Fatal("no privilege")]
    mirror.drain.apply(WORK, "cid")
    assert len(mirror.entries()) == 5


def test_a_chunk_that_a_person_must_mend_stops_the_table_until_it_is_loaded() -> None:
    mirror = Mirror()
    mirror.insert(1, 2, 3)
    mirror.tailer().tick()
    mirror.snapshots.tick()
    mirror.fail["transaction.shrink_chunk"] = [Fatal("no privilege")]
    mirror.work()
    assert _block(mirror) is not None
    mirror.advance(MENDED_SECONDS)
    mirror.snapshots.tick()
    mirror.work()
    assert _block(mirror) is None
    assert mirror.identical()


def test_a_chunk_is_loaded_under_its_lease() -> None:
    mirror = Mirror()
    mirror.insert(1, 2, 3, 4, 5)
    mirror.tailer().tick()
    mirror.snapshots.tick()
    taken = mirror.wakeups.take()
    assert taken is not None
    assert taken[0] == load_wakeup(REF, 1)
    mirror.calls.clear()
    mirror.drain.load(load_wakeup(REF, 1), "cid")
    assert mirror.identical()
    assert mirror.calls.count("wakeups.renew") >= 3
    assert mirror.wakeups.claim(load_wakeup(REF, 1))


def test_a_log_that_nobody_is_at_gets_a_new_wake_up() -> None:
    mirror = _sent()
    mirror.wakeups.renew(WORK)  # whoever had it died then
    assert mirror.reconcile.tick() == 0
    mirror.advance(LEASE_SECONDS)
    assert mirror.reconcile.tick() == 1
    assert mirror.reconcile.tick() == 0
    mirror.work()
    assert mirror.identical()


def test_wakeups_that_were_lost_come_back_for_every_log() -> None:
    mirror = Mirror(partitions=3)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(*range(20))
    tailer.tick()
    logs = mirror.broker.state.logs
    mirror.broker.flush()
    mirror.broker.state.logs = logs
    assert mirror.reconcile.tick() == 3
    mirror.work()
    assert mirror.identical()


def test_an_empty_log_is_not_woken_for() -> None:
    mirror = _sent()
    mirror.drain.apply(WORK, "cid")
    mirror.advance(60)
    assert mirror.reconcile.tick() == 0
    assert mirror.metadata.partitions(SCHEMA)
