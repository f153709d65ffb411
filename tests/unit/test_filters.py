"""Which fields and tables pass, and what masks make of values."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp.filters import REDACTED, FieldFilter, FieldPatterns, Mask, TablePatterns, field_filter, passes
from warp.filters import fields as module
from warp.testing.documents import JSON

SALT = "a salt of these tests"
DOCUMENT = {
    "_id": 1,
    "email": "ann@example.org",
    "name": {"first": "Ann", "last": "Lee"},
    "address": {"street": "Elm 1", "city": "Ulm", "geo": {"lat": 1, "lon": 2}},
    "items": [{"sku": "a", "note": "x"}, {"sku": "b"}, 7],
    "a.b": 1,
}


def hashed(text: str) -> str:
    return sha256((SALT + text).encode()).hexdigest()


def only(*levels: FieldPatterns) -> FieldFilter:
    found = field_filter(levels, SALT)
    assert found is not None
    return found


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in DOCUMENT.items() if name not in names}


def excluding(*patterns: str) -> dict[str, Any]:
    return only(FieldPatterns(exclude=patterns)).apply(DOCUMENT, JSON)


def including(*patterns: str) -> dict[str, Any]:
    return only(FieldPatterns(include=patterns)).apply(DOCUMENT, JSON)


def masking(**masks: Mask) -> dict[str, Any]:
    return only(FieldPatterns(mask=tuple(masks.items()))).apply(DOCUMENT, JSON)


def test_levels_that_say_nothing_are_no_filter() -> None:
    assert field_filter((FieldPatterns(), FieldPatterns()), SALT) is None


@pytest.mark.parametrize(
    ("patterns", "gone"),
    [
        (["email"], ["email"]),
        (["e*"], ["email"]),
        (["Email"], []),
        (["[ei]*"], ["email", "items"]),
        (["?ame"], ["name"]),
        (["a"], ["a.b"]),
        (["a.b"], ["a.b"]),
        (["email.domain", "email.*"], []),
        (["*"], ["email", "name", "address", "items", "a.b"]),
        (["_*", "*_id", "?id"], []),
    ],
)
def test_excluded_fields_are_absent_and_the_key_never_is(patterns: list[str], gone: list[str]) -> None:
    assert excluding(*patterns) == without(*gone)


def test_fields_inside_of_objects_are_excluded_by_their_path() -> None:
    document = excluding("address.street", "address.geo.l?t", "name.*")
    assert document["address"] == {"city": "Ulm", "geo": {"lon": 2}}
    assert document["name"] == {}


def test_a_path_through_an_array_means_each_of_its_objects() -> None:
    assert excluding("items.note")["items"] == [{"sku": "a"}, {"sku": "b"}, 7]
    assert including("items.sku") == {"_id": 1, "items": [{"sku": "a"}, {"sku": "b"}]}


def test_a_wildcard_does_not_cross_a_dot() -> None:
    assert excluding("*.street") == {**DOCUMENT, "address": {"city": "Ulm", "geo": {"lat": 1, "lon": 2}}}
    assert excluding("*street") == DOCUMENT


def test_only_what_is_included_is_kept() -> None:
    assert including("email", "address.geo", "name.first", "email.domain") == {
        "_id": 1,
        "email": "ann@example.org",
        "name": {"first": "Ann"},
        "address": {"geo": {"lat": 1, "lon": 2}},
    }
    assert including("email.domain") == {"_id": 1}, "what is no object has nothing inside that is included"


def test_masks() -> None:
    masked = masking(email=Mask.HASH, name=Mask.NULL, address=Mask.REDACT, nobody=Mask.HASH)
    expected = {"email": hashed("ann@example.org"), "name": None, "address": REDACTED}
    assert masked == {**DOCUMENT, **expected}


def test_masks_inside_of_objects_and_arrays() -> None:
    filtered = only(FieldPatterns(mask=(("items.sku", Mask.HASH), ("name.last", Mask.REDACT))))
    masked = filtered.apply(DOCUMENT, JSON)
    assert masked["items"] == [{"sku": hashed("a"), "note": "x"}, {"sku": hashed("b")}, 7]
    assert masked["name"] == {"first": "Ann", "last": REDACTED}


def test_a_hash_is_of_the_value_whole_and_null_has_none() -> None:
    filtered = only(FieldPatterns(mask=(("*", Mask.HASH),)))
    masked = filtered.apply({"_id": "k", "n": 8, "none": None, "list": [1], "text": "8"}, JSON)
    assert masked == {"_id": "k", "n": hashed("8"), "none": None, "list": hashed("[1]"), "text": hashed("8")}


def test_no_level_reveals_what_another_hides() -> None:
    near = FieldPatterns(include=("email", "name"), mask=(("email", Mask.REDACT),))
    far = FieldPatterns(include=("email", "address"), exclude=("name",), mask=(("*", Mask.HASH),))
    assert only(near, far).apply(DOCUMENT, JSON) == {"_id": 1, "email": REDACTED}
    assert only(far, near).apply(DOCUMENT, JSON) == {"_id": 1, "email": hashed("ann@example.org")}


def test_exclusion_goes_before_a_mask() -> None:
    filtered = only(FieldPatterns(exclude=("email",), mask=(("email", Mask.HASH),)))
    assert filtered.apply(DOCUMENT, JSON) == without("email")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    filtered = FieldFilter([FieldPatterns(exclude=("f1*",))], SALT)
    document = {f"f{number}": number for number in range(20)}
    for _ in range(2):
        assert len(filtered.apply(document, JSON)) == 9


def test_the_salt_is_not_shown() -> None:
    assert SALT not in repr(only(FieldPatterns(mask=(("email", Mask.HASH),))))


def test_tables_pass_every_level() -> None:
    levels = [TablePatterns(include=("ord*", "carts")), TablePatterns(exclude=("*_old",))]
    names = ["orders", "orders.lines", "orders_old", "carts", "Orders", "users"]
    assert [name for name in names if passes(levels, name)] == ["orders", "orders.lines", "carts"]
    assert passes([], "anything")


names = st.sampled_from(["a", "b", "c.d", "secret", "_id", ""])
values = st.recursive(
    st.none() | st.integers(0, 9) | st.just("SECRET"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=5)
patterns = st.sampled_from(["a", "b", "c", "*", "a.*", "secret", "*.secret", "?.b", "c.d.a"])
levels = st.builds(
    FieldPatterns,
    st.lists(patterns, max_size=2).map(tuple),
    st.lists(patterns, max_size=2).map(tuple),
    st.lists(st.tuples(patterns, st.sampled_from(Mask)), max_size=2).map(tuple),
)


def _hidden_where(value: Any, path: tuple[str, ...], hidden: tuple[str, ...]) -> bool:
    """Whether SECRET stands at a path, in objects and arrays alike."""
    if path == hidden:
        return "SECRET" in str(value)
    if isinstance(value, dict):
        return any(_hidden_where(item, (*path, *name.split(".")), hidden) for name, item in value.items())
    if isinstance(value, list):
        return any(_hidden_where(item, path, hidden) for item in value)
    return False


@given(documents, st.lists(levels, min_size=1, max_size=3), st.sampled_from(["secret", "a.secret", "c.d.secret"]))
def test_whatever_else_is_said_nothing_is_left_of_what_one_level_hides(
    document: dict[str, Any], said: list[FieldPatterns], path: str
) -> None:
    for hiding in (FieldPatterns(exclude=(path,)), FieldPatterns(mask=((path, Mask.HASH),))):
        filtered = FieldFilter([*said, hiding], SALT).apply(document, JSON)
        assert not _hidden_where(filtered, (), tuple(path.split(".")))
        assert filtered.get("_id") == document.get("_id")


@given(documents, st.lists(levels, min_size=1, max_size=3))
def test_a_filter_makes_nothing_up_and_leaves_the_document_as_it_is(
    document: dict[str, Any], said: list[FieldPatterns]
) -> None:
    before = repr(document)
    first = FieldFilter(said, SALT)
    filtered = first.apply(document, JSON)
    assert repr(document) == before
    assert filtered.keys() <= document.keys()
    assert first.apply(document, JSON) == filtered == FieldFilter(said, SALT).apply(document, JSON)
