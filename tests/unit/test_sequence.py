"""What a marker makes of the entries of a log, and what is left to write of their changes."""

from __future__ import annotations

from tests.unit.parts import PARTITION, change, entry, key, stored
from warp.change import Operation
from warp.transport.base import Entry
from workers.sequence import Sequence, coalesce, sequence


def _sequence(position: str, *entries: Entry) -> Sequence:
    return sequence(position, 1, stored(*entries))


def _applied(found: Sequence) -> list[tuple[str, str]]:
    """The `last` of each entry that applies, and the position from which on it does."""
    return [(item.entry.last, after) for item, after in found.apply]


def test_entries_that_follow_one_another_apply() -> None:
    found = _sequence("a", entry("a", "b"), entry("b", "d"))
    assert (_applied(found), found.position, found.gaps) == ([("b", "a"), ("d", "b")], "d", set())


def test_an_old_entry_is_done_with() -> None:
    found = _sequence("d", entry("a", "b"), entry("b", "d"))
    assert (_applied(found), found.position, len(found.read)) == ([], "d", 2)


def test_an_entry_that_overlaps_applies_from_the_position_on() -> None:
    found = _sequence("b", entry("a", "c"), entry("", "d"), entry("b", "e"))
    assert _applied(found) == [("c", "b"), ("d", "c"), ("e", "d")]


def test_an_entry_beyond_a_gap_is_useless_and_asked_for_again() -> None:
    found = _sequence("b", entry("c", "d", epoch="one:1"), entry("d", "e", epoch="two:1"))
    assert (_applied(found), found.position, found.gaps, len(found.read)) == ([], "b", {"one:1", "two:1"}, 2)


def test_a_gap_that_is_filled_in_what_was_read_is_none() -> None:
    found = _sequence("a", entry("b", "c"), entry("a", "c"), entry("c", "d"))
    assert (_applied(found), found.gaps) == ([("c", "a"), ("d", "c")], set())


def test_a_gap_of_one_tailer_is_not_filled_by_another() -> None:
    found = _sequence("a", entry("c", "d", epoch="one:1"), entry("a", "b", epoch="two:1"))
    assert (_applied(found), found.gaps) == ([("b", "a")], {"one:1"})


def test_an_entry_of_another_number_of_partitions_is_dropped() -> None:
    other = PARTITION._replace(of=2)
    found = _sequence("a", entry("a", "b", other), entry("x", "y", other), entry("a", "c"))
    assert (_applied(found), found.position, found.gaps, len(found.read)) == ([("c", "a")], "c", set(), 3)


def test_nothing_read_is_nothing_to_do() -> None:
    assert sequence("a", 1, []) == Sequence("a")


def test_only_the_last_change_of_each_document_counts() -> None:
    final = coalesce(
        [
            change("a", 1, record={"v": 1}),
            change("b", 2, record={"v": 1}),
            change("c", 1, Operation.UPDATE),
            change("d", 3, record={"v": 1}),
            change("e", 2, Operation.DELETE),
            change("f", 3, Operation.REPLACE, {"v": 2}),
            change("g", 4, Operation.DELETE),
            change("h", 4, record={"v": 3}),
        ]
    )
    assert [(item.key, item.record) for item in final.whole] == [(key(3), {"v": 2}), (key(4), {"v": 3})]
    assert [(item.key, item.position) for item in final.lookups] == [(key(1), "c")]
    assert [item.key for item in final.deletes] == [key(2)]


def test_an_update_that_carries_its_document_needs_no_lookup() -> None:
    final = coalesce([change("a", 1, Operation.UPDATE, {"v": 1})])
    assert [item.record for item in final.whole] == [{"v": 1}]


def test_an_empty_document_is_a_document() -> None:
    final = coalesce([change("a", 1, Operation.REPLACE, {})])
    assert (len(final.whole), len(final.lookups)) == (1, 0)
