"""Texts that anybody may have made up, as a terminal gets them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warp.monitoring.terminal import escaped, visible


@given(st.text(st.characters()))
def test_nothing_but_printable_characters_and_ends_of_lines_comes_through(text: str) -> None:
    assert visible(text).isprintable()
    assert escaped(text).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("text", "shown", "message"),
    [
        ("größe", "größe", "größe"),
        ("a\x1b[31m", '"a\\u001b[31m"', "a\\u001b[31m"),
        ("\udcff", '"\\udcff"', "\\udcff"),
        ("one\ntwo\t\x9b", '"one\\ntwo\\t\\u009b"', "one\ntwo\\t\\u009b"),
        ("x" * 201, "x" * 200 + "…", "x" * 201),
    ],
)
def test_what_is_printable_stays_as_it_is(text: str, shown: str, message: str) -> None:
    assert (visible(text), escaped(text)) == (shown, message)
