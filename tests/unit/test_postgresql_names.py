"""Names as identifiers, and keys as the text of a column: both ways, and never two for one."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bson_values import IDENTITIES
from warp.change import Key, KeyKind, TableRef
from warp.destinations.postgresql.names import cell_key, extra_name, field_name, identifier, key_cell, target
from warp.evolution.decide import MAX_NAME_BYTES
from warp.evolution.shape import Shape
from warp.sources.mongodb.codec import key_of

_STRINGS = st.one_of(
    st.text(),
    st.sampled_from(
        ("", "8", "-8", "null", "true", '"', '"x"', "{", "{}", '{"$oid":"x"}', '{"$numberLong":"8"}', "0" * 24, "a\0b")
    ),
)
KEYS: st.SearchStrategy[Key] = st.one_of(
    st.binary(min_size=12, max_size=12).map(lambda raw: Key(KeyKind.OBJECT_ID, raw.hex())),
    _STRINGS.map(lambda text: Key(KeyKind.STRING, text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: Key(KeyKind.INT, str(number))),
    IDENTITIES.map(key_of),
)
SHAPES = [Shape(version=1, key_kind=kind, mixed_keys=True) for kind in KeyKind]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.key_kind.value)
@given(key=KEYS)
def test_a_key_comes_back_from_its_cell(shape: Shape, key: Key) -> None:
    cell = key_cell(shape, key)
    assert "\0" not in cell
    cell.encode()
    assert cell_key(shape, cell) == key


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.key_kind.value)
@given(one=KEYS, other=KEYS)
def test_two_keys_never_share_a_cell(shape: Shape, one: Key, other: Key) -> None:
    assert (key_cell(shape, one) == key_cell(shape, other)) == (one == other)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.key_kind.value)
@given(text=_STRINGS)
def test_texts_that_look_like_other_keys_are_told_apart(shape: Shape, text: str) -> None:
    lookalikes = {Key(KeyKind.STRING, text), Key(KeyKind.STRING, orjson.dumps("x" + text[:3]).decode())}
    lookalikes |= {Key(KeyKind.INT, "8"), Key(KeyKind.OBJECT_ID, "0" * 24), Key(KeyKind.JSON, "null")}
    cells = {key_cell(shape, key) for key in lookalikes}
    assert len(cells) == len(lookalikes)


@given(cell=st.text())
def test_whatever_lies_in_the_column_is_some_key(cell: str) -> None:
    for shape in SHAPES:
        cell_key(shape, cell)


@pytest.mark.parametrize("kind", [KeyKind.OBJECT_ID, KeyKind.STRING, KeyKind.INT])
def test_keys_of_the_first_kind_are_written_plainly(kind: KeyKind) -> None:
    text = {KeyKind.OBJECT_ID: "0123456789abcdef01234567", KeyKind.STRING: "A-17", KeyKind.INT: "-42"}[kind]
    assert key_cell(Shape(version=1, key_kind=kind), Key(kind, text)) == text


def test_short_names_are_identifiers_as_they_are() -> None:
    assert target(TableRef("shop", 'odd "name" 50%')) == ("shop", 'odd "name" 50%')


@given(st.text(min_size=1), st.text(min_size=1))
def test_identifiers_fit_and_stay_distinct(one: str, other: str) -> None:
    longer = one * 40
    for name in (one, longer):
        assert len(identifier(name).encode("utf-8", "surrogateescape")) <= max(MAX_NAME_BYTES, 0)
    assert (identifier(one * 30) == identifier(other * 30)) == (one * 30 == other * 30)


@given(st.one_of(st.text(), st.sampled_from(("$utf8:61", "$utf8:", "a\0b", "\udcff"))))
def test_names_of_fields_come_back_from_extra(name: str) -> None:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return  # not what bytes decode to
    extra = extra_name(name)
    assert "\0" not in extra
    extra.encode()
    assert field_name(extra) == name
