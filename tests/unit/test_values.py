"""The exact form of every value of a row, and the packed times of changes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import jsonb
from warp.change import BEGINNING, Operation, Partition, TableRef, cluster_seconds, cluster_time
from warp.testing.documents import JsonStructured
from warp.values import ObjectIdText, Opaque, Value, exact_json, exact_string, iso_date, milliseconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (8, '{"$numberLong":"8"}'),
        (-(2**63), '{"$numberLong":"-9223372036854775808"}'),
        (1.5, '{"$numberDouble":"1.5"}'),
        (-0.0, '{"$numberDouble":"-0.0"}'),
        (float("nan"), '{"$numberDouble":"NaN"}'),
        (float("-inf"), '{"$numberDouble":"-Infinity"}'),
        (Decimal("1.10"), '{"$numberDecimal":"1.10"}'),
        ("text", '"text"'),
        ("a\0b", '{"$utf8":"YQBi"}'),
        ("\udcff", '{"$utf8":"/w=="}'),
        (ObjectIdText("0123"), '{"$oid":"0123"}'),
        (b"\x00\xff", '{"$binary":{"base64":"AP8=","subType":"00"}}'),
        (UUID(int=1), '{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAQ==","subType":"04"}}'),
        (datetime(1969, 12, 31, 23, 59, 59, 999000), '{"$date":{"$numberLong":"-1"}}'),
        (Opaque(b'{"$minKey":1}', "odd"), '{"$minKey":1}'),
        (JsonStructured("[1]"), "[1]"),
    ],
)
def test_the_exact_form_of_every_kind_of_value(value: Value, text: str) -> None:
    assert exact_json(value).decode() == text
    jsonb.stored(text)


def test_what_is_no_value_of_a_row_is_refused() -> None:
    with pytest.raises(TypeError):
        exact_json({"a": 1})  # type: ignore[arg-type]


@given(st.text())
def test_a_string_is_itself_where_jsonb_takes_it(text: str) -> None:
    exact = exact_string(text)
    jsonb.stored(orjson.dumps(exact))
    takes_it = "\0" not in text and text.isprintable()
    assert exact is text or not takes_it


def test_dates_are_written_with_milliseconds_only_where_there_are_any() -> None:
    assert iso_date(datetime(2020, 1, 2, 3, 4, 5)) == "2020-01-02T03:04:05Z"
    assert iso_date(datetime(2020, 1, 2, 3, 4, 5, 60000)) == "2020-01-02T03:04:05.060Z"
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1, 5000)) == 1005


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1))
def test_packed_times_sort_as_times_do(seconds: int, counter: int, other: int, its: int) -> None:
    one, two = cluster_time(seconds, counter), cluster_time(other, its)
    assert (one < two) == ((seconds, counter) < (other, its))
    assert cluster_seconds(one) == seconds
    assert 0 <= one < 2**63


def test_names_for_people() -> None:
    assert str(Partition("shop", "orders", 3, 4)) == "shop.orders/3"
    assert str(TableRef("shop", "orders")) == "shop.orders"
    assert Partition("shop", "orders", 3, 4).ref == TableRef("shop", "orders")
    assert BEGINNING < "0"
    assert set(Operation) == {"insert", "update", "replace", "delete"}
