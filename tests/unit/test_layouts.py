"""Forms of documents: what each makes of one, and that nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest
from bson import DBRef
from hypothesis import given
from hypothesis import strategies as st

from warp.change import PATH, dotted
from warp.evolution.rules import Layout
from warp.filters import FieldPatterns, Mask, field_filter
from warp.layouts import Flatten, Whole, form_of
from warp.sources.mongodb.bson_types import Pairs, Repeated
from warp.sources.mongodb.tree import BSON
from warp.testing.documents import JSON


def path(*names: str) -> str:
    return PATH.join(names)


DOCUMENT = {"_id": {"x": 1}, "n": 1, "a": {"b": {"c": {"d": 1}}, "e": None}, "list": [{"f": 1}], "empty": {}}


@pytest.mark.parametrize(
    ("depth", "fields"),
    [
        (1, {path("a", "b"): {"c": {"d": 1}}, path("a", "e"): None}),
        (2, {path("a", "b", "c"): {"d": 1}, path("a", "e"): None}),
        (3, {path("a", "b", "c", "d"): 1, path("a", "e"): None}),
        (9, {path("a", "b", "c", "d"): 1, path("a", "e"): None}),
    ],
)
def test_objects_are_taken_apart_down_to_the_depth(depth: int, fields: dict[str, Any]) -> None:
    rest = {"_id": {"x": 1}, "n": 1, "list": [{"f": 1}], "empty": {}}
    assert Flatten(depth).apply(DOCUMENT, JSON) == {**rest, **fields}


def test_what_could_not_be_put_together_again_stays_whole() -> None:
    twice = Pairs((("b", 1), ("b", 2)))
    leaves = {"empty": {}, "twice": twice, "repeated": Repeated(({"b": 1}, {"b": 2})), "list": [{"b": 1}]}
    assert Flatten(3).apply({"_id": 1, **leaves}, BSON) == {"_id": 1, **leaves}
    inside = Flatten(3).apply({"_id": 1, "a": leaves}, BSON)
    assert inside == {"_id": 1, **{path("a", name): value for name, value in leaves.items()}}


def test_a_reference_is_an_object_like_any_other() -> None:
    """Whether pymongo makes a DBRef of it depends on what else is in the document."""
    plain = {"$ref": "c", "$id": 1}
    for form in (Flatten(1), Whole()):
        one, other = (form.apply({"_id": 1, "a": {"b": value}}, BSON) for value in (plain, DBRef("c", 1)))
        assert one.keys() == other.keys()
    assert Flatten(1).apply({"_id": 1, "a": DBRef("c", 1)}, BSON) == Flatten(1).apply({"_id": 1, "a": plain}, BSON)


def test_a_document_is_whole() -> None:
    assert Whole().apply(DOCUMENT, JSON) == {
        "_id": {"x": 1},
        "doc": {name: value for name, value in DOCUMENT.items() if name != "_id"},
    }
    assert Whole().apply({"_id": 1}, JSON) == {"_id": 1, "doc": {}}
    assert Whole().apply({"_id": 1, "a": Repeated((1, 2))}, BSON) == {"_id": 1, "doc": {"a": Repeated((1, 2))}}


def test_the_filter_comes_first() -> None:
    filter = field_filter((FieldPatterns(exclude=("a.b.c",), mask=(("a.e", Mask.REDACT),)),), "")
    for layout, depth, expected in (
        (Layout.COLUMNS, 0, {"a": {"b": {}, "e": "redacted"}}),
        (Layout.COLUMNS, 1, {path("a", "b"): {}, path("a", "e"): "redacted"}),
        (Layout.DOCUMENT, 0, {"doc": {"a": {"b": {}, "e": "redacted"}}}),
    ):
        form = form_of(filter, layout, depth)
        assert form is not None
        assert form.apply({"_id": 1, "a": DOCUMENT["a"]}, JSON) == {"_id": 1, **expected}


def test_where_nothing_is_to_be_done_there_is_no_form() -> None:
    filter = field_filter((FieldPatterns(exclude=("a",)),), "")
    assert form_of(None, Layout.COLUMNS, 0) is None
    assert form_of(filter, Layout.COLUMNS, 0) is filter
    assert form_of(None, Layout.COLUMNS, 2) == Flatten(2)
    assert form_of(filter, Layout.COLUMNS, 2) is form_of(filter, Layout.COLUMNS, 2)


_NAMES = st.sampled_from(("a", "b", "a.b", "a_b", "", "doc", "_id"))
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 1) | st.just([]),
    lambda inner: st.dictionaries(_NAMES, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
_DOCUMENTS = st.dictionaries(_NAMES, _VALUES, max_size=4).map(lambda fields: {**fields, "_id": 0})


@given(_DOCUMENTS, st.integers(1, 4))
def test_a_flat_document_can_be_put_together_again(document: dict[str, Any], depth: int) -> None:
    flat = Flatten(depth).apply(document, JSON)
    fields = [(name, value) for name, value in flat.items() if name != "_id"]
    assert not any(value and isinstance(value, dict) and name.count(PATH) < depth for name, value in fields)
    rebuilt: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, last = name.split(PATH)
        place = rebuilt
        for each in outer:
            place = place.setdefault(each, {})
        assert last not in place
        place[last] = value
    assert rebuilt == document


def test_a_path_is_shown_with_dots() -> None:
    assert dotted(path("a", "b", "c")) == "a.b.c"
    assert dotted("a") == "a"
