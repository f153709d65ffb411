"""Names as identifiers, and keys as the text of a column: both ways, and never two for one."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import orjson
import pytest
from bson import Binary
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bson_values import IDENTITIES
from warp.change import PATH, Key, KeyKind, TableRef
from warp.destinations.postgresql.names import (
    cell_key,
    extra_name,
    field_name,
    fits_key_column,
    identifier,
    key_cell,
    key_type,
    qualified,
    schema_identifier,
    target,
)
from warp.evolution.naming import is_legal
from warp.evolution.shape import Shape
from warp.sources.mongodb.codec import key_of
from warp.sources.mongodb.extended_json import canonical_bytes

_STRINGS = st.one_of(
    st.text(),
    st.sampled_from(
        ("", "8", "-8", "null", "true", '"', '"x"', "{", "{}", '{"$oid":"x"}', '{"$numberLong":"8"}', "0" * 24, "a\0b")
    ),
)
_UUIDS = st.one_of(st.just(UUID(int=0)), st.uuids())
KEYS: st.SearchStrategy[Key] = st.one_of(
    st.binary(min_size=12, max_size=12).map(lambda raw: Key(KeyKind.OBJECT_ID, raw.hex())),
    _STRINGS.map(lambda text: Key(KeyKind.STRING, text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: Key(KeyKind.INT, str(number))),
    _UUIDS.map(lambda uuid: Key(KeyKind.UUID, str(uuid))),
    _UUIDS.map(lambda uuid: Key(KeyKind.STRING, str(uuid))),
    st.tuples(_UUIDS, st.sampled_from((3, 4))).map(lambda drawn: key_of(Binary(drawn[0].bytes, drawn[1]))),
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
    lookalikes.add(Key(KeyKind.UUID, str(UUID(int=0))))
    cells = {key_cell(shape, key) for key in lookalikes}
    assert len(cells) == len(lookalikes)


@given(cell=_STRINGS)
def test_whatever_lies_in_the_column_is_a_key_of_that_cell_alone(cell: str) -> None:
    for shape in SHAPES:
        found = cell_key(shape, cell)
        assert found == Key(KeyKind.JSON, cell) or key_cell(shape, found) == cell


@pytest.mark.parametrize("kind", [KeyKind.OBJECT_ID, KeyKind.STRING, KeyKind.INT, KeyKind.UUID])
def test_keys_of_the_first_kind_are_written_plainly(kind: KeyKind) -> None:
    text = {
        KeyKind.OBJECT_ID: "0123456789abcdef01234567",
        KeyKind.STRING: "A-17",
        KeyKind.INT: "-42",
        KeyKind.UUID: "00010203-0405-0607-0809-0a0b0c0d0e0f",
    }[kind]
    assert key_cell(Shape(version=1, key_kind=kind), Key(kind, text)) == text


@given(_UUIDS)
def test_elsewhere_a_uuid_is_the_json_of_its_binary(uuid: UUID) -> None:
    written = canonical_bytes(Binary(uuid.bytes, 4)).decode()
    for shape in SHAPES:
        if shape.key_kind is not KeyKind.UUID:
            assert key_cell(shape, Key(KeyKind.UUID, str(uuid))) == written


def test_the_type_of_the_key_column_holds_keys_of_its_kind_alone() -> None:
    keys = [Key(KeyKind.UUID, str(UUID(int=0))), Key(KeyKind.INT, "8"), Key(KeyKind.STRING, "8")]
    types = {KeyKind.UUID: ("uuid", keys[:1]), KeyKind.INT: ("bigint", keys[1:2])}
    for mixed in SHAPES:
        alone = replace(mixed, mixed_keys=False)
        name, fitting = types.get(alone.key_kind, ("text", keys))
        assert (key_type(alone).as_string(), [key for key in keys if fits_key_column(alone, key)]) == (name, fitting)
        assert (key_type(mixed).as_string(), [key for key in keys if fits_key_column(mixed, key)]) == ("text", keys)


def test_short_names_are_identifiers_as_they_are() -> None:
    assert target(TableRef("shop", 'odd "name" 50%')) == ("shop", 'odd "name" 50%')


_NAMES = st.one_of(
    st.text(),
    st.text(min_size=1).map(lambda text: text * 40),
    st.binary(max_size=80).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.sampled_from(("", "\0", "a\0b", "orders", "orders_pkey", "orders_pkey1", "_orders", "public", "pg_catalog")),
    st.sampled_from(("pg_toast", "_pg_toast", "__pg_toast", "information_schema", "cartridge_warp", "_cartridge_warp")),
    st.sampled_from(("\udc80pg_x", "pg_" + "x" * 60, "x" * 63, "x" * 64)),
)


@given(st.sets(_NAMES))
def test_identifiers_are_legal_and_distinct(names: set[str]) -> None:
    for made in (identifier, schema_identifier):
        identifiers = {made(name) for name in names}
        identifiers |= {made(each) for each in identifiers}
        assert len({made(name) for name in names | identifiers}) == len(names | identifiers)
        assert all(map(is_legal, identifiers))


@given(_NAMES)
def test_no_database_becomes_a_schema_that_is_reserved(name: str) -> None:
    schema = schema_identifier(name)
    assert not schema.startswith("pg_")
    assert schema not in ("information_schema", "cartridge_warp")


@pytest.mark.parametrize(
    ("database", "schema"),
    [
        ("shop", "shop"),
        ("public", "public"),
        ("PG_X", "PG_X"),
        ("pg_catalog", "_pg_catalog"),
        ("_pg_catalog", "__pg_catalog"),
        ("information_schema", "_information_schema"),
        ("cartridge_warp", "_cartridge_warp"),
        ("cartridge_warp2", "cartridge_warp2"),
    ],
)
def test_a_reserved_database_gets_an_underscore_in_front(database: str, schema: str) -> None:
    assert schema_identifier(database) == schema


def test_a_collection_called_like_a_hashed_one_is_hashed_itself() -> None:
    long = "orders of " + "x" * 80
    hashed = identifier(long)
    assert (hashed[:30], len(hashed)) == (long[:30], 63)
    assert identifier(hashed) not in (hashed, long)
    assert identifier(f"{hashed}_") != hashed


@pytest.mark.parametrize("name", ["orders_pkey", "orders_pkey2", "_pkey", "x" * 58 + "_pkey"])
def test_no_collection_takes_the_name_of_a_primary_keys_index(name: str) -> None:
    assert identifier(name) != name
    assert not identifier(name).endswith("_pkey")
    assert identifier("orders_pkeys") == "orders_pkeys"


def test_a_qualified_name_is_as_a_statement_has_it() -> None:
    assert qualified(TableRef("pg_x", 'a"b')) == '"_pg_x"."a""b"'


_FIELDS = st.one_of(
    st.text(st.characters(exclude_characters="\0")),
    st.sampled_from(("$utf8:61", "$utf8:", "$path:a", "$path:a.b", "a.b", "", "\udcff", extra_name(f"a.b{PATH}c"))),
)


@pytest.mark.parametrize(
    ("field", "extra"),
    [
        ("a", "a"),
        ("a.b", "a.b"),
        (f"a{PATH}b", "$path:a.b"),
        (f"{PATH}$oid{PATH}", "$path:.$oid."),
        (f"a.b{PATH}c", "$utf8:612e620063"),
        (f"a{PATH}\udcff", "$utf8:6100ff"),
        ("$path:a.b", "$utf8:24706174683a612e62"),
    ],
)
def test_a_field_inside_of_an_object_has_a_readable_name_in_extra(field: str, extra: str) -> None:
    assert extra_name(field) == extra
    assert field_name(extra) == field


@given(st.lists(_FIELDS, min_size=1, max_size=4).map(PATH.join))
def test_names_of_fields_come_back_from_extra(name: str) -> None:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return  # not what bytes decode to
    extra = extra_name(name)
    assert "\0" not in extra
    extra.encode()
    assert field_name(extra) == name
