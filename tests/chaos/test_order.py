"""The checker itself: what it must object to, and what it must let pass."""

from __future__ import annotations

import pytest

from tests.chaos.order import Order

TABLE = "shop.orders"


def _seen(*looks: dict[str, int], ended: dict[str, list[int]] | None = None) -> list[str]:
    """What is objected to after these looks."""
    order = Order(ended or {})
    for look in looks:
        order.saw(TABLE, look.items())
    return [violation.what for violation in order.violations]


def test_growing_stamps_pass() -> None:
    assert _seen({"a": 1}, {"a": 1, "b": 2}, {"a": 5, "b": 4}) == []


def test_a_counter_that_goes_back() -> None:
    assert _seen({"a": 1, "b": 9}, {"a": 1, "b": 8}) == ["went back"]


def test_a_document_that_is_gone_without_a_delete() -> None:
    assert _seen({"a": 3}, {}, ended={"a": [2]}) == ["is gone without a delete"]


def test_a_delete_and_a_new_life_pass() -> None:
    assert _seen({"a": 3}, {}, {"a": 5}, {}, {"a": 9}, ended={"a": [4, 8]}) == []


@pytest.mark.parametrize("stamp", [3, 6])
def test_a_deleted_document_that_is_back(stamp: int) -> None:
    """Also with a state of its first life that was never seen in it."""
    assert _seen({"a": 3}, {}, {"a": stamp}, ended={"a": [7, 20]}) == ["is back after its deletion"]


def test_a_delete_that_may_not_have_happened_is_no_excuse_and_no_reason() -> None:
    """The outcome of the first attempt is unknown; the second one is not seen until after the new life."""
    assert _seen({"a": 3}, {}, {"a": 5}, {}, ended={"a": [4, 6]}) == []


def test_a_document_first_seen_late_may_be_one_that_is_deleted_by_now() -> None:
    assert _seen({}, {"a": 3}, {}, ended={"a": [7]}) == []


def test_tables_are_apart() -> None:
    order = Order({})
    order.saw("shop.orders", {"a": 5}.items())
    order.saw("shop.events", {"a": 4}.items())
    assert order.violations == []


def test_what_was_looked_at_is_counted() -> None:
    order = Order({"a": [4]})
    for look in ({"a": 3, "b": 1}, {"b": 1}, {"a": 5, "b": 1}):
        order.saw(TABLE, look.items())
    assert (order.looks, order.rows, order.gone, order.back) == (3, 5, 1, 1)
