"""Shapes follow what comes: infer, decide, keep."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp.change import Key, KeyKind, Record
from warp.evolution.compare import difference
from warp.evolution.decide import Decision, decide
from warp.evolution.infer import Seen
from warp.evolution.naming import column_name
from warp.evolution.rules import MAX_COLUMNS, MOST_COLUMNS, Rules
from warp.evolution.shape import Column, Shape
from warp.testing.documents import JsonStructured
from warp.values import Kind, ObjectIdText, Opaque, Value, kind_of

OID = Key(KeyKind.OBJECT_ID, "0" * 24)


def _seen(*records: Record, keys: tuple[Key, ...] = (OID,), shape: Shape | None = None) -> Seen:
    seen = Seen()
    seen.add_keys(keys)
    seen.add_records(records, shape)
    return seen


def _decide(shape: Shape | None, *records: Record, keys: tuple[Key, ...] = (OID,), soft: bool = False) -> Decision:
    return decide(shape, _seen(*records, keys=keys, shape=shape), Rules(soft_delete=soft))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, Kind.BOOL),
        (1, Kind.INT),
        (1.0, Kind.DOUBLE),
        (Decimal(1), Kind.DECIMAL),
        ("x", Kind.STRING),
        (ObjectIdText("0" * 24), Kind.OBJECT_ID),
        (b"x", Kind.BINARY),
        (UUID(int=1), Kind.UUID),
        (datetime(2020, 1, 1), Kind.TIMESTAMP),
        (JsonStructured("[]"), Kind.JSON),
        (None, None),
        (Opaque(b"1", "odd"), None),
    ],
)
def test_every_kind_of_value_asks_for_its_kind_of_column(value: Value, kind: Kind | None) -> None:
    assert kind_of(value) is kind
    assert _seen({"field": value}).fields == ({} if kind is None else {"field": kind})


def test_every_kind_of_value_is_tested() -> None:
    assert len(get_args(Value)) == 11


def test_the_first_value_that_has_a_kind_decides() -> None:
    assert _seen({"a": None}, {"a": 1.5}, {"a": 1}).fields == {"a": Kind.DOUBLE}


def test_fields_that_have_a_column_ask_for_nothing() -> None:
    shape = _decide(None, {"a": 1}).after
    assert _seen({"a": "text", "b": 1}, shape=shape).fields == {"b": Kind.INT}


def test_a_new_table_is_version_one_and_widening_it_is_the_next() -> None:
    first = _decide(None, {"a": 1})
    assert (first.before, first.changes, first.after.version, first.widens_key) == (None, True, 1, False)
    second = _decide(first.after, {"b": "x"})
    assert second.new_columns == (Column(name="b", kind=Kind.STRING),)
    assert (second.after.version, list(second.after.columns)) == (2, ["a", "b"])


def test_a_column_keeps_its_kind() -> None:
    shape = _decide(None, {"a": 1}).after
    assert not _decide(shape, {"a": "text"}).changes


def test_keys_of_another_kind_widen_the_key_once() -> None:
    shape = _decide(None, {"a": 1}, keys=(Key(KeyKind.INT, "1"),)).after
    assert (shape.key_kind, shape.mixed_keys) == (KeyKind.INT, False)
    wider = _decide(shape, keys=(Key(KeyKind.STRING, "1"),))
    assert (wider.widens_key, wider.after.key_kind, wider.after.mixed_keys) == (True, KeyKind.INT, True)
    assert not _decide(wider.after, keys=(Key(KeyKind.JSON, "{}"),)).changes
    assert not _decide(wider.after, keys=(Key(KeyKind.JSON, "{}"),)).widens_key


def test_keys_of_two_kinds_may_come_with_the_table() -> None:
    shape = _decide(None, keys=(Key(KeyKind.STRING, "x"), OID)).after
    assert (shape.key_kind, shape.mixed_keys) == (KeyKind.STRING, True)


def test_soft_deletes_are_added_and_never_taken_away() -> None:
    shape = _decide(None, {"a": 1}).after
    softer = _decide(shape, soft=True).after
    assert (softer.soft_delete, softer.version) == (True, 2)
    assert not _decide(softer, soft=False).changes


def test_the_first_fields_get_columns_up_to_the_limit() -> None:
    seen = _seen({"f0": 1, "f1": None}, {"f2": 1, "f0": 2}, {"f1": 1, "f3": 1, "f4": 1})
    shape = decide(None, seen, Rules(max_columns=3)).after
    assert list(shape.columns) == ["f0", "f2", "f1"]
    assert not decide(shape, _seen({"f4": 1}, shape=shape), Rules(max_columns=3)).changes
    assert not decide(shape, _seen({"f4": 1}, shape=shape), Rules(max_columns=1)).changes
    wider = decide(shape, _seen({"f4": 1, "f5": 1}, shape=shape), Rules(max_columns=4))
    assert [column.name for column in wider.new_columns] == ["f4"]
    assert MAX_COLUMNS < MOST_COLUMNS < 1600 - 5


def test_every_field_has_a_column_of_its_own_which_stays() -> None:
    first = _decide(None, {"ctid": 1, "": 2}).after
    hashed = first.columns["ctid"].name
    assert hashed == column_name("ctid", ())
    wider = _decide(first, {hashed: 3, "CTID": 4, first.columns[""].name: 5}).after
    assert wider.columns.items() >= first.columns.items()
    assert len({column.name for column in wider.columns.values()}) == 5
    assert (wider.columns["CTID"].name, wider.columns[hashed].name != hashed) == ("CTID", True)


def test_what_is_between_two_shapes() -> None:
    before = _decide(None, {"a": 1, "b": 1}).after
    columns = {"a": before.columns["a"], "b": Column(name="b", kind=Kind.STRING), "c": Column(name="c", kind=Kind.INT)}
    after = replace(before, version=2, soft_delete=True, columns=columns)
    between = difference(before, after)
    assert between.added == {"c": columns["c"]}
    assert between.changed == {"b": (before.columns["b"], columns["b"])}
    assert between.settings == {"soft_delete": (False, True)}
    assert (between.removed, difference(after, before).removed) == ({}, {"c": columns["c"]})
    assert difference(None, before).added == before.columns
    assert difference(before, None).removed == before.columns


_VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3)
)
_FIELDS = st.text(max_size=3) | st.binary(max_size=3).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
_RECORDS = st.lists(st.dictionaries(_FIELDS, _VALUES, max_size=4), max_size=4)
_KEYS = st.lists(st.builds(Key, st.sampled_from(KeyKind), st.text(max_size=2)), max_size=3).map(tuple)


@given(first=_RECORDS, second=_RECORDS, keys=_KEYS, soft=st.booleans())
def test_deciding_again_changes_nothing_and_columns_are_only_added(
    first: list[Record], second: list[Record], keys: tuple[Key, ...], soft: bool
) -> None:
    shape = _decide(None, *first, keys=keys).after
    decision = _decide(shape, *second, keys=keys, soft=soft)
    assert decision.after.columns.items() >= shape.columns.items()
    assert not _decide(decision.after, *first, *second, keys=keys, soft=soft).changes
    assert (decision.after.version > shape.version) == decision.changes


@given(records=_RECORDS, keys=_KEYS, soft=st.booleans())
def test_a_shape_comes_back_from_json(records: list[Record], keys: tuple[Key, ...], soft: bool) -> None:
    shape = _decide(None, *records, keys=keys, soft=soft).after
    assert Shape.from_json(shape.version, json.loads(json.dumps(shape.to_json()))) == shape
