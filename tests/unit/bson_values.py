"""Every value that BSON can hold, for hypothesis; also those that people do not think of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import strategies as st

from warp.sources.mongodb.extended_json import WRAPPERS

NAMES = st.one_of(
    st.sampled_from(("a", "b", "$ref", "$id", "$set", "", "ä", "50%", 'quo"te', *sorted(WRAPPERS))),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
)
"""Names of fields: no NUL, which BSON forbids there."""
TEXTS = st.one_of(
    st.sampled_from(("", "\0", "a\0b", "null", "\\", "\\N", '{"$oid":"0"}', "\ud7ff", "\U0001f375")),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
DOUBLES = st.one_of(
    st.sampled_from((float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e300, 5e-324, 2.0**53, 2.0**60, 1e22)),
    st.floats(),
)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
DECIMALS = st.one_of(
    st.sampled_from(("NaN", "Infinity", "-Infinity", "-0", "0E+3", "1E+6000", "1E-6000", "8", "8.0", "80E-1", "0.10")),
    st.sampled_from(("sNaN", "-sNaN", "-NaN", "1.000000000000000030378602842700367E+40")),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20).map(str),
    st.builds("{}E{}".format, st.integers(10**33, 10**34 - 1), st.integers(-6176, 6111)),
    st.builds("{}E-34".format, st.integers(10**33, 10**33 + 3)),
).map(Decimal128)
"""Also with all of their 34 digits, and such as differ in the last one only."""
DATES = st.one_of(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    st.sampled_from((DatetimeMS(10**15), DatetimeMS(-(10**15)), DatetimeMS(2**63 - 1), DatetimeMS(-(2**63)))),
)
_FLAGS = st.sampled_from(("", "i", "imsx", "u"))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    INT32,
    INT64.map(Int64),
    DOUBLES,
    DECIMALS,
    TEXTS,
    DATES,
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.binary(max_size=6),
    st.builds(Binary, st.binary(max_size=6), st.sampled_from((2, 3, 5, 128))),
    st.builds(Binary, st.binary(min_size=16, max_size=16), st.just(4)),
    st.builds(Regex, st.text("ab.*\n\\", max_size=4), _FLAGS),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.builds(Code, TEXTS),
    st.builds(Code, TEXTS, st.dictionaries(NAMES, INT32, max_size=2)),
    st.builds(DBRef, st.text("ab", min_size=1, max_size=3), INT32),
    st.just(MinKey()),
    st.just(MaxKey()),
)


def _composed(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(values, max_size=3), st.dictionaries(NAMES, values, max_size=3))


VALUES: st.SearchStrategy[Any] = st.recursive(SCALARS, _composed, max_leaves=8)
STRUCTURED = _composed(VALUES)
IDENTITIES = VALUES.filter(lambda value: not isinstance(value, list | Regex | DBRef) and "DBRef" not in repr(value))
"""What can be an `_id`: MongoDB refuses arrays, regular expressions, and names that begin with a dollar sign."""
DOCUMENTS = st.dictionaries(NAMES.filter(lambda name: name != "_id"), VALUES, max_size=4)
