"""Tables to which nothing can be applied: the others go on, and nothing is lost once they take changes again."""

from __future__ import annotations

from scheduler.tailer import CHECK_SECONDS, Tailer
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from warp.change import Partition, TableRef

CARTS = TableRef(SCHEMA, "carts")


def _begun(*, partitions: int = 1) -> tuple[Mirror, Tailer]:
    """A mirror of two tables that has caught up."""
    mirror = Mirror(partitions=partitions)
    mirror.insert(1)
    mirror.source.insert(SCHEMA, "carts", {"_id": 1})
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    return mirror, tailer


def _block(mirror: Mirror) -> None:
    mirror.metadata.block(REF, "altered by hand", "alter it back")


def _fail(mirror: Mirror, tailer: Tailer) -> None:
    """A change is sent, and whoever tries to apply it blocks the table."""
    mirror.insert(2)
    tailer.tick()
    _block(mirror)


def _unblock(mirror: Mirror) -> None:
    with mirror.destination.transaction() as transaction:
        transaction.unblock(REF)


def _round(mirror: Mirror, tailer: Tailer) -> None:
    mirror.advance(CHECK_SECONDS)
    tailer.tick()


def _work_on_carts(mirror: Mirror) -> None:
    mirror.applier().step(Partition(*CARTS, 0, 1))


def _checkpoint(mirror: Mirror) -> str:
    state = mirror.metadata.schema(SCHEMA)
    assert state is not None
    return state.checkpoint.position


def _positions(mirror: Mirror, table: str = TABLE) -> list[str]:
    return [logged.position for logged in mirror.source.log if logged.ref.table == table]


def test_some_changes_are_sent_for_workers_to_try_and_the_others_wait_in_the_source() -> None:
    mirror, tailer = _begun()
    _fail(mirror, tailer)
    for number in range(3, 8):
        mirror.insert(number)
        _round(mirror, tailer)
    assert mirror.entries()[0][1] == _positions(mirror)[1]
    assert len(mirror.entries()) == 1
    assert not tailer.caught_up


def test_the_checkpoint_stays_before_what_waits_also_when_the_log_is_lost() -> None:
    mirror, tailer = _begun()
    _block(mirror)
    for number in range(2, 6):
        mirror.insert(number)
        _round(mirror, tailer)
    mirror.broker.flush()
    for _ in range(3):
        _round(mirror, tailer)
    assert _checkpoint(mirror) < _positions(mirror)[1]
    assert len(mirror.entries()) == 1, "it was sent again, to be tried"


def test_the_other_tables_go_on() -> None:
    mirror, tailer = _begun()
    _block(mirror)
    for number in range(2, 6):
        mirror.insert(number)
        mirror.source.insert(SCHEMA, "carts", {"_id": number})
        _round(mirror, tailer)
        _work_on_carts(mirror)
    assert mirror.identical("carts")
    assert mirror.rows().keys() == {"1"}


def test_what_was_kept_back_is_sent_when_the_table_takes_changes_again() -> None:
    mirror, tailer = _begun()
    _block(mirror)
    for number in range(2, 6):
        mirror.insert(number)
        _round(mirror, tailer)
    _unblock(mirror)
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert tailer.caught_up
    assert _checkpoint(mirror) >= _positions(mirror)[-1]


def test_changes_are_kept_back_until_the_start_over_even_if_the_table_is_free_before() -> None:
    """Or an entry would say that it leaves nothing out, and leave out what was kept back."""
    mirror, tailer = _begun()
    _fail(mirror, tailer)
    _round(mirror, tailer)
    mirror.insert(3)
    _round(mirror, tailer)
    _unblock(mirror)
    mirror.work()
    assert mirror.rows().keys() == {"1", "2"}
    mirror.insert(4)
    tailer.tick()
    mirror.work()
    assert mirror.rows().keys() == {"1", "2"}, "4 does not come before 3"
    mirror.catch_up(tailer)
    assert mirror.identical()


def test_a_table_that_is_free_and_blocked_again_between_two_looks_loses_nothing() -> None:
    mirror, tailer = _begun()
    _fail(mirror, tailer)
    _round(mirror, tailer)
    mirror.insert(3)
    _round(mirror, tailer)
    _unblock(mirror)
    mirror.work()
    _block(mirror)
    for number in (4, 5):
        mirror.insert(number)
        _round(mirror, tailer)
    assert mirror.rows().keys() == {"1", "2"}
    assert _checkpoint(mirror) < _positions(mirror)[2]
    _unblock(mirror)
    mirror.catch_up(tailer)
    assert mirror.identical()


def test_another_tailer_that_starts_meanwhile_sends_something_to_try() -> None:
    mirror, tailer = _begun()
    _block(mirror)
    for number in range(2, 6):
        mirror.insert(number)
        _round(mirror, tailer)
    tailer.close()
    mirror.broker.flush()
    again = mirror.tailer()
    for _ in range(3):
        _round(mirror, again)
    assert mirror.entries()
    _unblock(mirror)
    mirror.catch_up(again)
    assert mirror.identical()


def test_blocked_tables_do_not_count_for_the_high_water_mark() -> None:
    mirror, tailer = _begun()
    _fail(mirror, tailer)
    _round(mirror, tailer)
    tailer.close()
    mirror.high_water_mark = 1
    again = mirror.tailer()
    for number in range(2, 6):
        mirror.source.insert(SCHEMA, "carts", {"_id": number})
        for _ in range(3):
            _round(mirror, again)
        _work_on_carts(mirror)
    assert mirror.identical("carts")


def test_the_number_of_partitions_of_other_tables_can_change_meanwhile() -> None:
    mirror, tailer = _begun()
    _fail(mirror, tailer)
    _round(mirror, tailer)
    tailer.close()
    mirror.partitions = 2
    again = mirror.tailer()
    for _ in range(4):
        _round(mirror, again)
    assert mirror.metadata.partitions(SCHEMA) == {TABLE: 1, "carts": 2}
    mirror.insert(3)
    mirror.source.insert(SCHEMA, "carts", {"_id": 2})
    _round(mirror, again)
    _unblock(mirror)
    mirror.catch_up(again)
    mirror.catch_up(again)
    assert mirror.identical()
    assert mirror.identical("carts")


def test_the_number_of_partitions_of_a_table_changes_once_it_takes_changes_again() -> None:
    """Also where nothing was kept back, so that no start-over looks at the settings again."""
    mirror, tailer = _begun()
    _fail(mirror, tailer)
    tailer.close()
    mirror.partitions = 2
    again = mirror.tailer()
    for _ in range(3):
        _round(mirror, again)
    assert mirror.metadata.partitions(SCHEMA)[TABLE] == 1
    _unblock(mirror)
    mirror.work()
    for _ in range(3):
        _round(mirror, again)
    assert mirror.metadata.partitions(SCHEMA)[TABLE] == 2


def test_a_blocked_table_that_the_source_drops() -> None:
    mirror, tailer = _begun()
    _block(mirror)
    for number in (2, 3):
        mirror.insert(number)
        _round(mirror, tailer)
    mirror.source.drop(SCHEMA, TABLE)
    mirror.insert(2, v="new")
    _round(mirror, tailer)
    _unblock(mirror)
    mirror.catch_up(tailer)
    assert mirror.identical()
    assert mirror.rows().keys() == {"2"}


def test_a_blocked_table_whose_history_is_lost() -> None:
    mirror, tailer = _begun()
    _block(mirror)
    for number in (2, 3):
        mirror.insert(number)
        _round(mirror, tailer)
    mirror.source.delete(SCHEMA, TABLE, 2)
    mirror.source.lose_history()
    tailer.close()
    again = mirror.tailer()
    _round(mirror, again)
    _unblock(mirror)
    mirror.catch_up(again)
    assert mirror.identical()


def test_a_block_of_a_table_of_which_all_is_applied_ends() -> None:
    """It came late: another worker had applied what failed. No change may come that would end it."""
    mirror, tailer = _begun()
    mirror.insert(2)
    tailer.tick()
    mirror.work()
    _block(mirror)
    for _ in range(2):
        _round(mirror, tailer)
    assert not mirror.metadata.blocked(SCHEMA)


def test_a_block_lasts_while_something_waits() -> None:
    mirror, tailer = _begun()
    _fail(mirror, tailer)
    for _ in range(5):
        _round(mirror, tailer)
    assert mirror.metadata.blocked(SCHEMA) == {TABLE}
    tailer.close()
    again = mirror.tailer()
    for _ in range(5):
        _round(mirror, again)
    assert mirror.metadata.blocked(SCHEMA) == {TABLE}


def test_a_block_of_a_table_that_is_being_loaded_lasts() -> None:
    mirror = Mirror()
    mirror.insert(1)
    tailer = mirror.tailer()
    tailer.tick()
    _block(mirror)
    for _ in range(3):
        _round(mirror, tailer)
    assert mirror.metadata.blocked(SCHEMA) == {TABLE}
