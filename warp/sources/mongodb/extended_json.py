"""BSON values as Extended JSON v2 and back, so that nothing is lost on the way through jsonb.

Two forms, by the specification (mongodb/specifications, extended-json): relaxed, for columns people query, and
canonical, for `_extra`. Four additions where jsonb or the specification cannot tell values apart:
`{"$utf8": base64}` for a string that jsonb refuses; `{"$object": [[name, value], …]}` for an object whose names could
be taken for one of these wrappers, or stand in it twice; `{"$repeated": [value, …]}` for a field that stands in its
document more than once, with all of its values in order; and `{"$malformedBinary": base64}` for a binary of the old
subtype 2 that does not begin with its own length.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from decimal import Decimal
from math import copysign, isfinite
from typing import Any

import orjson
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from warp.sources.mongodb.bson_types import (
    DBPointer,
    MalformedBinary,
    Pairs,
    RegularExpression,
    Repeated,
    ScopedCode,
    Symbol,
    Undefined,
    regular_expression,
)
from warp.values import EPOCH, exact_double, exact_string, iso_date, json_bytes, milliseconds

WRAPPERS = frozenset(
    {"$oid", "$date", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$binary", "$uuid", "$code"}
    | {"$scope", "$timestamp", "$regularExpression", "$dbPointer", "$minKey", "$maxKey", "$symbol", "$undefined"}
    | {"$utf8", "$object", "$repeated", "$malformedBinary"}
)
"""Names with a meaning in Extended JSON: an object of the user's that has one is written as `$object`."""

WRAPPER_NAME = re.compile(b"(?:%s)\0" % b"|".join(re.escape(name.encode()) for name in sorted(WRAPPERS)))
"""Finds such a name, or what looks like one, in BSON bytes."""

_FAST = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


class NotRelaxed(Exception):
    """The value has no relaxed form that jsonb holds exactly."""


def relaxed(value: Any, *, suspicious: bool) -> str:
    """Relaxed Extended JSON of an object or array.

    `suspicious` says that `WRAPPER_NAME` was found in the bytes it came from. Raises NotRelaxed.
    """
    text = _written(value)
    doubtful = suspicious or b"\\u0000" in text or b"null" in text or b"-0.0" in text or _EXPONENT.search(text)
    if doubtful and _not_finite(value):
        text = _written(_with_wrappers(value))
    return text.decode()


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value, _relaxed_leaf, _FAST)
    except orjson.JSONEncodeError:
        raise NotRelaxed from None


_EXPONENT = re.compile(rb"[0-9]e\+?[0-9]")


def _relaxed_leaf(value: Any) -> Any:
    if value.__class__ is Int64:
        return int(value)
    if value.__class__ is DBRef:
        return dict(value.as_doc())
    if isinstance(value, datetime):
        return {"$date": iso_date(value)} if value >= EPOCH else {"$date": {"$numberLong": str(milliseconds(value))}}
    if value.__class__ is Pairs:
        raise NotRelaxed
    return _leaf(value)


def _not_finite(value: Any) -> bool:
    """Whether there are NaN or infinities, which orjson writes as null.

    Raises NotRelaxed for what orjson or jsonb would change: -0.0 (0), U+0000, names of wrappers, and doubles whose
    shortest digits, which jsonb takes for an integer, are another integer than the double is.
    """
    kind = value.__class__
    if kind is str or kind is Code:
        if "\0" in value:
            raise NotRelaxed
        return False
    if kind is float:
        if not isfinite(value):
            return True
        if value == 0 and copysign(1, value) < 0:
            raise NotRelaxed
        if 1e16 <= abs(value) < 2**64 and int(Decimal(repr(value))) != int(value):
            raise NotRelaxed
        return False
    if kind is DBRef:
        value = dict(value.as_doc())
    items = value
    if kind is not list:
        if not WRAPPERS.isdisjoint(value) or "\0" in "".join(value):
            raise NotRelaxed
        items = value.values()
    found = False
    for item in items:  # all of them: one that follows may have to be refused
        if item.__class__ in _INSPECTED and _not_finite(item):
            found = True
    return found


_INSPECTED = frozenset({str, Code, float, dict, list, DBRef})


def _with_wrappers(value: Any) -> Any:
    """The value with `$numberDouble` for what is not finite, as the specification has it."""
    match value:
        case dict():
            return {name: _with_wrappers(item) for name, item in value.items()}
        case list():
            return [_with_wrappers(item) for item in value]
        case DBRef():
            return _with_wrappers(dict(value.as_doc()))
        case float() if not isfinite(value):
            return exact_double(value)
        case _:
            return value


def canonical(value: Any) -> Any:
    """Canonical Extended JSON of any BSON value, as objects that orjson writes and jsonb holds exactly."""
    match value:
        case None | bool():
            return value
        case Code():
            code = {"$code": exact_string(str(value))}
            return code if value.scope is None else code | {"$scope": canonical(dict(value.scope))}
        case Int64():
            return _leaf(value)
        case str():
            return exact_string(value)
        case int():
            return {"$numberInt" if -(2**31) <= value < 2**31 else "$numberLong": str(value)}
        case float():
            return exact_double(value)
        case dict():
            pairs = [[exact_string(name), canonical(item)] for name, item in value.items()]
            if not WRAPPERS.isdisjoint(value) or any(not isinstance(name, str) for name, _ in pairs):
                return {"$object": pairs}
            return dict(pairs)
        case Pairs():
            return {"$object": [[exact_string(name), canonical(item)] for name, item in value.pairs]}
        case Repeated():
            return {"$repeated": [canonical(item) for item in value.values]}
        case list():
            return [canonical(item) for item in value]
        case _:
            return _leaf(value)


def canonical_bytes(value: Any) -> bytes:
    """`canonical`, written."""
    return json_bytes(canonical(value))


def _leaf(value: Any) -> Any:
    match value:
        case ObjectId():
            return {"$oid": str(value)}
        case datetime():
            return {"$date": {"$numberLong": str(milliseconds(value))}}
        case DatetimeMS():
            return {"$date": {"$numberLong": str(int(value))}}
        case Int64():
            return {"$numberLong": str(int(value))}
        case Decimal128():
            return {"$numberDecimal": str(value)}
        case bytes():
            subtype = value.subtype if isinstance(value, Binary) else 0
            return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": f"{subtype:02x}"}}
        case MalformedBinary():
            return {"$malformedBinary": base64.b64encode(value.data).decode()}
        case Code():
            return canonical(value)
        case ScopedCode():
            return {"$code": exact_string(value.code), "$scope": canonical(value.scope)}
        case Regex() | RegularExpression():
            regex = regular_expression(value)
            pattern, options = exact_string(regex.pattern), exact_string(regex.options)
            return {"$regularExpression": {"pattern": pattern, "options": options}}
        case Undefined():
            return {"$undefined": True}
        case Symbol():
            return {"$symbol": exact_string(value.text)}
        case DBPointer():
            return {"$dbPointer": {"$ref": exact_string(value.namespace), "$id": {"$oid": str(value.id)}}}
        case Timestamp():
            return {"$timestamp": {"t": value.time, "i": value.inc}}
        case MinKey():
            return {"$minKey": 1}
        case MaxKey():
            return {"$maxKey": 1}
        case DBRef():
            return canonical(dict(value.as_doc()))
        case _:
            raise TypeError(f"not a BSON value: {type(value).__name__}")
