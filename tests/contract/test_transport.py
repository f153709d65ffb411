"""The contract of the transport: `warp.transport.base`."""

from __future__ import annotations

from tests.contract.transports import TransportBench
from warp.change import Partition, TableRef
from warp.transport.base import Backlog, Entry, StoredEntry, Wakeup, apply_wakeup, load_wakeup

REF = TableRef("shop", "orders")
FIRST, SECOND = Partition(*REF, 0, 2), Partition(*REF, 1, 2)


def _entry(
    prev: str, last: str, partition: Partition = FIRST, payload: bytes = b"\x00\xff\r\n", changes: int = 2
) -> Entry:
    return Entry(
        partition=partition,
        prev=prev,
        last=last,
        changes=changes,
        epoch="tailer:1",
        correlation_id="cid",
        payload=payload,
    )


def _read(transport: TransportBench, partition: Partition = FIRST) -> list[StoredEntry]:
    return transport.logs.read(partition, None, 100)


def test_entries_come_back_whole_and_in_order(transport: TransportBench) -> None:
    entries = [_entry("", "a"), _entry("a", "b", payload=b""), _entry("b", "c", payload=bytes(range(256)))]
    transport.logs.append(entries[:2])
    transport.logs.append(entries[2:])
    assert [item.entry for item in _read(transport)] == entries


def test_partitions_have_logs_of_their_own(transport: TransportBench) -> None:
    transport.logs.append([_entry("", "a"), _entry("", "b", SECOND)])
    assert [item.entry.last for item in _read(transport)] == ["a"]
    assert [item.entry.last for item in _read(transport, SECOND)] == ["b"]
    assert _read(transport, Partition("shop", "carts", 0, 1)) == []


def test_an_entry_says_by_how_many_partitions_it_was_routed(transport: TransportBench) -> None:
    transport.logs.append([_entry("", "a", Partition(*REF, 0, 1)), _entry("", "a", Partition(*REF, 0, 3))])
    assert [item.entry.partition.of for item in _read(transport)] == [1, 3]


def test_reading_goes_on_after_an_entry_and_ends_at_a_number(transport: TransportBench) -> None:
    transport.logs.append([_entry("", last) for last in "abcd"])
    first, second = transport.logs.read(FIRST, None, 2)
    assert [item.entry.last for item in (first, second)] == ["a", "b"]
    assert [item.entry.last for item in transport.logs.read(FIRST, second.id, 10)] == ["c", "d"]
    assert transport.logs.read(FIRST, second.id, 1)[0].entry.last == "c"


def test_what_is_removed_is_gone_and_may_be_removed_again(transport: TransportBench) -> None:
    transport.logs.append([_entry("", last) for last in "abc"])
    first, second, third = _read(transport)
    transport.logs.remove(FIRST, [first, third])
    transport.logs.remove(FIRST, [first])
    transport.logs.remove(FIRST, [])
    assert _read(transport) == [second]


def test_tails_are_the_newest_entries(transport: TransportBench) -> None:
    transport.logs.append([_entry("", "a"), _entry("a", "b")])
    assert transport.logs.tails([SECOND, FIRST]) == [None, "b"]
    assert transport.logs.tails([]) == []
    transport.logs.remove(FIRST, _read(transport))
    assert transport.logs.tails([FIRST]) == [None]


def test_the_backlog_is_what_lies_in_the_logs(transport: TransportBench) -> None:
    transport.logs.append([_entry("", "a", changes=3), _entry("a", "b", changes=4), _entry("", "c", SECOND, b"")])
    transport.logs.append([_entry("", "d", Partition("elsewhere", "orders", 0, 1))])
    backlog = transport.logs.backlog("shop")
    assert {place: log.changes for place, log in backlog.items()} == {("orders", 0): 7, ("orders", 1): 2}
    assert backlog["orders", 0].bytes >= 8
    first, _ = _read(transport)
    transport.logs.remove(FIRST, [first])
    transport.logs.remove(FIRST, [first])
    assert transport.logs.backlog("shop")["orders", 0].changes == 4
    transport.logs.remove(FIRST, _read(transport))
    transport.logs.remove(SECOND, _read(transport, SECOND))
    assert transport.logs.backlog("shop").get(("orders", 0), Backlog(0, 0)) == Backlog(0, 0)


def test_a_resend_is_told_to_the_tailer_that_it_was_asked_of_once(transport: TransportBench) -> None:
    transport.logs.request_resend("shop", ["one:1", "two:1"])
    assert not transport.logs.take_resends("shop", "three:1")
    assert not transport.logs.take_resends("elsewhere", "one:1")
    assert transport.logs.take_resends("shop", "one:1")
    assert not transport.logs.take_resends("shop", "one:1")
    assert transport.logs.take_resends("shop", "two:1")


def test_logs_may_lose_everything(transport: TransportBench) -> None:
    transport.logs.append([_entry("", "a")])
    stored = _read(transport)
    transport.lose_everything()
    assert _read(transport) == []
    assert transport.logs.tails([FIRST]) == [None]
    assert transport.logs.backlog("shop") == {}
    transport.logs.remove(FIRST, stored)
    transport.logs.append([_entry("a", "b")])
    assert [item.entry.last for item in _read(transport)] == ["b"]


def _taken(transport: TransportBench) -> list[Wakeup]:
    found = []
    while (taken := transport.take()) is not None:
        found.append(taken[0])
    return found


def test_a_wakeup_comes_as_it_was_scheduled(transport: TransportBench) -> None:
    for wakeup in (apply_wakeup(SECOND), load_wakeup(REF, 7)):
        assert transport.wakeups.schedule([wakeup], "cid") == 1
        assert transport.take() == (wakeup, "cid")
    assert apply_wakeup(SECOND).partition == SECOND


def test_the_same_work_is_scheduled_once(transport: TransportBench) -> None:
    first, second = apply_wakeup(FIRST), apply_wakeup(SECOND)
    assert transport.wakeups.schedule([first], "cid") == 1
    assert transport.wakeups.schedule([first, second], "cid") == 1
    assert _taken(transport) == [first, second]
    assert transport.wakeups.schedule([first], "cid") == 0, "who took it has not said yet that it is done"


def test_work_that_is_held_is_not_scheduled_until_it_is_released(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    assert transport.wakeups.claim(wakeup)
    assert not transport.wakeups.claim(wakeup)
    assert transport.wakeups.schedule([wakeup], "cid") == 0
    transport.wakeups.release(wakeup)
    assert transport.wakeups.schedule([wakeup], "cid") == 1
    assert not transport.wakeups.claim(wakeup), "somebody else is to do it"


def test_a_lease_that_is_not_renewed_lapses(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    transport.wakeups.renew(wakeup)
    assert transport.wakeups.revive([wakeup], "cid") == 0
    transport.let_leases_lapse()
    assert transport.wakeups.revive([wakeup], "cid") == 1
    assert _taken(transport) == [wakeup]


def test_work_that_is_postponed_is_held_for_that_long(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    transport.wakeups.schedule([wakeup], "cid")
    assert _taken(transport) == [wakeup]
    transport.wakeups.postpone(wakeup, 60.0)
    transport.let_leases_lapse()
    assert transport.wakeups.revive([wakeup], "cid") == 0
    assert transport.wakeups.schedule([wakeup], "cid") == 0
    transport.wakeups.postpone(wakeup, 1.0)
    transport.let_leases_lapse()
    assert transport.wakeups.revive([wakeup], "cid") == 1
    assert _taken(transport) == [wakeup]


def test_renewing_takes_the_lease_whoever_had_it(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    assert transport.wakeups.claim(wakeup)
    transport.wakeups.renew(wakeup)
    transport.wakeups.release(wakeup)
    transport.wakeups.release(wakeup)
    assert transport.wakeups.claim(wakeup)


def test_work_that_waits_in_a_queue_is_not_revived(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    transport.wakeups.schedule([wakeup], "cid")
    transport.let_leases_lapse()
    assert transport.wakeups.revive([wakeup], "cid") == 0


def test_work_that_a_worker_died_with_is_revived_at_the_second_look(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    transport.wakeups.schedule([wakeup], "cid")
    assert _taken(transport) == [wakeup]
    assert transport.wakeups.revive([wakeup], "cid") == 0, "it may only just have been taken"
    assert transport.wakeups.revive([wakeup], "cid") == 1
    assert _taken(transport) == [wakeup]


def test_work_that_a_worker_took_and_holds_is_not_revived(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    transport.wakeups.schedule([wakeup], "cid")
    assert _taken(transport) == [wakeup]
    assert transport.wakeups.revive([wakeup], "cid") == 0
    transport.wakeups.renew(wakeup)
    assert transport.wakeups.revive([wakeup], "cid") == 0


def test_work_that_was_never_scheduled_is_revived(transport: TransportBench) -> None:
    wakeups = [load_wakeup(REF, 1), load_wakeup(REF, 2)]
    assert transport.wakeups.revive(wakeups, "cid") == 2
    assert _taken(transport) == wakeups


def test_work_that_is_put_back_waits_in_its_queue(transport: TransportBench) -> None:
    first, second = apply_wakeup(FIRST), apply_wakeup(SECOND)
    transport.wakeups.schedule([first, second], "cid")
    taken = transport.take()
    assert taken == (first, "cid")
    transport.wakeups.renew(first)
    transport.wakeups.requeue(first, "cid")
    assert transport.wakeups.revive([first], "cid") == 0
    assert transport.wakeups.schedule([first], "cid") == 0
    assert _taken(transport) == [second, first]


def test_wakeups_may_lose_everything(transport: TransportBench) -> None:
    wakeup = apply_wakeup(FIRST)
    transport.wakeups.schedule([wakeup], "cid")
    transport.lose_everything()
    assert transport.take() is None
    assert transport.wakeups.schedule([wakeup], "cid") == 1


def test_names_are_distinct_for_distinct_work() -> None:
    work = [apply_wakeup(FIRST), apply_wakeup(SECOND), load_wakeup(REF, 0), load_wakeup(REF, 1)]
    work += [apply_wakeup(Partition("shop", "carts", 0, 2)), apply_wakeup(Partition("elsewhere", "orders", 0, 2))]
    assert len({wakeup.name for wakeup in work}) == len(work)
