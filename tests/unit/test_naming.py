"""Fields' names as columns' names: legal, stable, and never two for one."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp.change import PATH
from warp.evolution.naming import MAX_NAME_BYTES, RESERVED, column_name, head, is_legal

FIELDS = st.one_of(
    st.text(),
    st.text(min_size=60, max_size=70),
    st.binary(max_size=80).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text(st.characters(), max_size=5),  # any code point, lone surrogates as well
    st.sampled_from(sorted(RESERVED)),
    st.lists(st.sampled_from(("a", "b", "_", "", "id", "warp", "x" * 30)), min_size=2, max_size=4).map(PATH.join),
)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "A",
        "A b",
        'quo"ted',
        "it's",
        "50%",
        "%s",
        "x" * 63,
        "ä" * 31,
        "select",
        "$set",
        "a.b",
        "日本",
        "{}",
        " ",
        "\n",
        '"; DROP TABLE x; --',
        "CTID",
        "_ID",
    ],
)
def test_a_legal_name_is_its_columns_name(name: str) -> None:
    assert column_name(name, {"other"}) == name


@pytest.mark.parametrize("name", [*sorted(RESERVED), "", "\0id", "x" * 64, "ä" * 32, "\udc80", "a\ud800"])
def test_any_other_name_is_a_readable_head_and_a_hash(name: str) -> None:
    made = column_name(name, ())
    start, _, digits = made.rpartition("_")
    assert is_legal(made)
    assert len(digits) == 8
    assert set(digits) <= set("0123456789abcdef")
    assert name.replace("\0", "_").encode("utf-8", "ignore").decode().startswith(start)


def test_the_column_of_a_field_inside_of_an_object_has_all_of_its_names() -> None:
    assert column_name(PATH.join(("a", "b", "c")), ()) == "a_b_c"
    assert column_name(PATH.join(("a b", "C.d")), ()) == "a b_C.d"
    assert column_name(PATH.join(("", "")), ()) == "_"


@pytest.mark.parametrize("taken", ["a_b_c", PATH.join(("a", "b_c")), PATH.join(("a_b", "c")), PATH.join("abc")])
def test_names_that_come_to_one_column_are_two(taken: str) -> None:
    """Whoever comes first has the name, and the other's says by its hash which field it is."""
    columns = {column_name(taken, ())}
    for field in {"a_b_c", PATH.join(("a", "b_c")), PATH.join(("a_b", "c")), PATH.join("abc")} - {taken}:
        made = column_name(field, columns)
        assert made == f"a_b_c_{sha256(field.encode()).hexdigest()[:8]}"
        columns.add(made)
    assert len(columns) == 4


def test_a_path_that_is_too_long_is_a_readable_head_and_a_hash() -> None:
    path = PATH.join(("address", "x" * 70, "street"))
    assert column_name(path, ()) == f"address_{'x' * 46}_{sha256(path.encode()).hexdigest()[:8]}"


def test_the_hash_is_of_the_names_bytes() -> None:
    assert column_name("ctid", ()) == f"ctid_{sha256(b'ctid').hexdigest()[:8]}"
    assert column_name("a\udcff", ()) == f"a_{sha256(b'a' + bytes([0xFF])).hexdigest()[:8]}"
    assert column_name("", ()) == f"_{sha256(b'').hexdigest()[:8]}"


def test_a_head_ends_with_a_whole_character() -> None:
    name = "x" * 53 + "ä" * 20
    assert head(name, 54) == "x" * 53
    assert column_name(name, ()) == f"{'x' * 53}_{sha256(name.encode()).hexdigest()[:8]}"


def test_names_that_are_equal_when_truncated_are_two() -> None:
    assert column_name("x" * 63 + "a", ()) != column_name("x" * 63 + "b", ())


def test_a_name_that_is_anothers_hashed_one_gives_way() -> None:
    first = column_name("xmin", ())
    second = column_name(first, {first})
    third = column_name(second, {first, second})
    assert len({first, second, third}) == 3
    assert second == column_name(first, {first}), "the same every time"
    # And the other way round: the literal one was there first.
    assert column_name("xmin", {first}) not in (first, "xmin")


@given(st.lists(FIELDS, unique=True))
def test_all_columns_of_a_table_are_legal_and_distinct(fields: list[str]) -> None:
    taken: dict[str, str] = {}
    for field in fields:
        name = column_name(field, taken)
        assert name not in taken
        assert name not in RESERVED
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert name
        assert "\0" not in name
        taken[name] = field
