"""Grouping changes into entries: what they say together is true and complete."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.routing import ENTRY_BYTES, Router
from tests.unit.parts import point, routed
from warp.change import RoutedChange
from warp.transport.base import Entry


def _router(of: int = 2, limit: int = 100, positions: dict[int, str] | None = None) -> Router:
    router = Router("shop", "tailer:1", lambda _: limit)
    router.set_table("orders", of, positions or {})
    return router


def _route(router: Router, *changes: RoutedChange, start: str = "") -> list[Entry]:
    return [entry for entry, _ in router.route(changes, point(start), "cid")]


def test_a_change_goes_to_the_partition_of_its_key() -> None:
    entries = _route(_router(), routed("a", 4), routed("b", 7), routed("c", 6))
    assert [(entry.partition.number, entry.prev, entry.last, entry.changes) for entry in entries] == [
        (0, "", "c", 2),
        (1, "", "b", 1),
    ]
    assert {entry.partition.of for entry in entries} == {2}


def test_payloads_are_joined_in_order() -> None:
    (entry,) = _route(_router(1), routed("a", raw=b"one"), routed("b", raw=b"two"))
    assert (entry.payload, entry.epoch, entry.correlation_id) == (b"onetwo", "tailer:1", "cid")


def test_what_a_partition_has_already_is_not_sent_again() -> None:
    router = _router(2, positions={0: "b"})
    entries = _route(router, routed("a", 0), routed("a", 1), routed("b", 0), routed("c", 0))
    assert [(entry.partition.number, entry.prev, entry.last, entry.changes) for entry in entries] == [
        (1, "", "a", 1),
        (0, "b", "c", 1),
    ]
    assert _route(router, routed("c", 0)) == [], "the stream was opened again a little earlier"


def test_an_entry_ends_at_the_batch_size() -> None:
    entries = _route(_router(1, limit=2), *(routed(position) for position in "abcde"))
    assert [(entry.prev, entry.last) for entry in entries] == [("", "b"), ("b", "d"), ("d", "e")]


def test_an_entry_ends_when_it_is_large_and_one_change_may_be_larger() -> None:
    half = b"x" * (ENTRY_BYTES // 2)
    entries = _route(
        _router(1), routed("a", raw=half), routed("b", raw=half), routed("c", raw=half * 5), routed("d", raw=b"x")
    )
    assert [entry.last for entry in entries] == ["b", "c", "d"]


def test_what_is_sent_remembers_the_place_just_before_its_first_change() -> None:
    found = _router(2, limit=2).route(
        [routed("b", 0), routed("c", 1), routed("d", 0), routed("e", 0), routed("f", 1)], point("a"), "cid"
    )
    assert [(sent.before.position, sent.last, sent.changes) for _, sent in found] == [
        ("a", "d", 2),
        ("b", "f", 2),
        ("d", "e", 1),
    ]
    assert all(sent.size == entry.size for entry, sent in found)


def test_unknown_tables_are_named() -> None:
    router = _router(3)
    assert router.unknown_tables([routed("a"), routed("b", table="late")]) == {"late"}
    assert (router.partitions("orders"), router.partitions("late")) == (3, 0)


@given(
    hashes=st.lists(st.integers(0, 50), max_size=60),
    of=st.integers(1, 4),
    limit=st.integers(1, 5),
    cut=st.integers(0, 60),
    applied=st.integers(0, 60),
)
def test_entries_of_a_partition_are_a_chain_without_gaps_that_says_everything(
    hashes: list[int], of: int, limit: int, cut: int, applied: int
) -> None:
    changes = [routed(f"{number:04}", key, raw=f"{number:04}".encode()) for number, key in enumerate(hashes, 1)]
    positions = {0: f"{applied:04}"}
    router = _router(of, limit, positions)
    batches = [changes[:cut], changes[cut:]]
    entries = [entry for batch in batches for entry in _route(router, *batch)]
    for number in range(of):
        start = positions.get(number, "")
        chain = [entry for entry in entries if entry.partition.number == number]
        assert all(one.last == following.prev for one, following in pairwise(chain))
        assert not chain or chain[0].prev == start
        expected = [change.raw for change in changes if change.key_hash % of == number and change.position > start]
        assert b"".join(entry.payload for entry in chain) == b"".join(expected)
        assert sum(entry.changes for entry in chain) == len(expected)
        assert all(entry.changes <= limit and entry.prev < entry.last for entry in chain)
        assert not expected or chain[-1].last == expected[-1].decode()


@pytest.mark.parametrize("of", [1, 3])
def test_a_table_can_be_given_another_number_of_partitions(of: int) -> None:
    router = _router(2)
    _route(router, routed("a", 0), routed("b", 1))
    router.set_table("orders", of, dict.fromkeys(range(of), "c"))
    entries = _route(router, routed("c", 0), routed("d", 0))
    assert [(entry.partition.of, entry.prev, entry.last) for entry in entries] == [(of, "c", "d")]
