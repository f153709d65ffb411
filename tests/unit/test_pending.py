"""What follows from what was sent and is not applied: checkpoint and backlog."""

from scheduler.pending import Pending, Sent
from tests.unit.parts import point
from warp.change import Partition

FIRST, SECOND = Partition("shop", "orders", 0, 2), Partition("shop", "orders", 1, 2)


def _pending() -> Pending:
    """Three entries: of the first partition up to b and e, of the second up to d."""
    pending = Pending()
    pending.add(FIRST, Sent(point("a"), "b", 2, 20))
    pending.add(SECOND, Sent(point("b"), "d", 3, 30))
    pending.add(FIRST, Sent(point("d"), "e", 4, 40))
    return pending


def test_it_counts_what_is_not_applied() -> None:
    pending = _pending()
    assert (pending.changes, pending.size) == (9, 90)
    pending.settle({FIRST: "c"})
    assert (pending.changes, pending.size) == (7, 70)
    pending.clear()
    assert (pending.changes, pending.size) == (0, 0)
    assert pending.low_watermark(point("z")) == point("z")


def test_the_low_watermark_is_just_before_the_oldest_change_that_is_not_applied() -> None:
    pending = _pending()
    assert pending.low_watermark(point("z")) == point("a")
    pending.settle({FIRST: "b"})
    assert pending.low_watermark(point("z")) == point("b")
    pending.settle({FIRST: "e", SECOND: "c"})
    assert pending.low_watermark(point("z")) == point("b")
    pending.settle({FIRST: "e", SECOND: "d"})
    assert pending.low_watermark(point("z")) == point("z")


def test_what_is_settled_of_a_table_rests_on_its_own_entries_alone() -> None:
    pending = _pending()
    pending.add(Partition("shop", "carts", 0, 1), Sent(point("dd"), "e", 1, 10))
    end = point("zzzz")
    assert (pending.settled("orders", end), pending.settled("carts", end)) == (1, 2)
    assert pending.settled("other", end) == 4
    pending.settle({FIRST: "e", SECOND: "d"})
    assert pending.settled("orders", end) == 4
    pending.keep_back("orders", point("ddd"))
    assert pending.settled("orders", end) == 3


def test_an_entry_is_applied_when_its_last_change_is() -> None:
    pending = _pending()
    pending.settle({FIRST: "azzz", SECOND: ""})
    assert pending.changes == 9
    pending.settle({FIRST: "b"})
    assert pending.changes == 7


def test_a_marker_of_another_number_of_partitions_says_nothing() -> None:
    pending = _pending()
    pending.settle({FIRST._replace(of=3): "z", SECOND._replace(of=1): "z"})
    assert pending.changes == 9


def test_it_knows_the_newest_entry_of_each_partition() -> None:
    pending = _pending()
    assert dict(pending.newest()) == {FIRST: "e", SECOND: "d"}
    pending.settle({SECOND: "d"})
    assert dict(pending.newest()) == {FIRST: "e"}


def test_it_knows_which_tables_have_something_pending() -> None:
    pending = _pending()
    assert pending.holds("orders")
    assert not pending.holds("carts")
    pending.settle({FIRST: "e", SECOND: "d"})
    assert not pending.holds("orders")
