"""Extended JSON read back as BSON values, and when two BSON values are the same: what `verify` rests on."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import nan
from typing import Any
from uuid import UUID

import orjson
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.errors import BSONError

from warp.sources.base import StoredJson
from warp.sources.mongodb.bson_types import (
    DBPointer,
    MalformedBinary,
    Pairs,
    RegularExpression,
    Repeated,
    ScopedCode,
    Symbol,
    Undefined,
    fields,
    object_of,
    regular_expression,
)
from warp.values import EPOCH, ObjectIdText


def parse(value: Any) -> Any:
    """The BSON value that a value of Extended JSON, relaxed or canonical, stands for.

    Raises ValueError where the JSON is not what `extended_json` writes.
    """
    match value:
        case list():
            return [parse(item) for item in value]
        case dict():
            names = frozenset(value)
            wrapper = _WRAPPERS.get(names)
            if wrapper is None:
                return {name: parse(item) for name, item in value.items()}
            try:
                return wrapper(value)
            except (BSONError, KeyError, TypeError, ArithmeticError) as error:
                raise ValueError("not a wrapper of Extended JSON") from error
        case _:
            return value


def _string(value: Any) -> str:
    text = parse(value)
    if not isinstance(text, str):
        raise ValueError("not a string of Extended JSON")
    return text


def _date(value: dict[str, Any]) -> datetime | DatetimeMS:
    date = value["$date"]
    if isinstance(date, str):
        return datetime.fromisoformat(date).astimezone(UTC).replace(tzinfo=None)
    moment = int(date["$numberLong"])
    try:
        return EPOCH + timedelta(milliseconds=moment)
    except OverflowError:
        return DatetimeMS(moment)


def _binary(value: dict[str, Any]) -> bytes:
    inner = value["$binary"]
    return Binary(base64.b64decode(inner["base64"]), int(inner["subType"], 16))


def _regular_expression(value: dict[str, Any]) -> RegularExpression:
    inner = value["$regularExpression"]
    return RegularExpression(_string(inner["pattern"]), _string(inner["options"]))


def _pointer(value: dict[str, Any]) -> DBPointer:
    inner = value["$dbPointer"]
    return DBPointer(_string(inner["$ref"]), ObjectId(inner["$id"]["$oid"]))


def _scoped_code(value: dict[str, Any]) -> Code | ScopedCode:
    code, scope = _string(value["$code"]), parse(value["$scope"])
    return ScopedCode(code, scope) if isinstance(scope, Pairs) else Code(code, scope)


def _object(value: dict[str, Any]) -> dict[str, Any] | Pairs:
    return object_of([(_string(name), parse(item)) for name, item in value["$object"]])


_WRAPPERS: dict[frozenset[str], Callable[[dict[str, Any]], Any]] = {
    frozenset({"$oid"}): lambda v: ObjectId(v["$oid"]),
    frozenset({"$date"}): _date,
    frozenset({"$numberInt"}): lambda v: int(v["$numberInt"]),
    frozenset({"$numberLong"}): lambda v: Int64(v["$numberLong"]),
    frozenset({"$numberDouble"}): lambda v: float(v["$numberDouble"]),
    frozenset({"$numberDecimal"}): lambda v: Decimal128(v["$numberDecimal"]),
    frozenset({"$binary"}): _binary,
    frozenset({"$code"}): lambda v: Code(_string(v["$code"])),
    frozenset({"$code", "$scope"}): _scoped_code,
    frozenset({"$regularExpression"}): _regular_expression,
    frozenset({"$timestamp"}): lambda v: Timestamp(v["$timestamp"]["t"], v["$timestamp"]["i"]),
    frozenset({"$minKey"}): lambda _: MinKey(),
    frozenset({"$maxKey"}): lambda _: MaxKey(),
    frozenset({"$utf8"}): lambda v: base64.b64decode(v["$utf8"]).decode("utf-8", "surrogateescape"),
    frozenset({"$undefined"}): lambda _: Undefined(),
    frozenset({"$symbol"}): lambda v: Symbol(_string(v["$symbol"])),
    frozenset({"$dbPointer"}): _pointer,
    frozenset({"$malformedBinary"}): lambda v: MalformedBinary(base64.b64decode(v["$malformedBinary"])),
    frozenset({"$object"}): _object,
    frozenset({"$repeated"}): lambda v: Repeated(tuple(parse(item) for item in v["$repeated"])),
}


def same(left: Any, right: Any) -> bool:
    """Whether two BSON values are the same, order of fields and width of numbers aside.

    8, 8 as long, 8.0 and Decimal128 8 are the same; -0.0 and 0.0 are not, true and 1 are not, and NaN is itself.
    """
    match left:
        case bool() | None:
            return left is right
        case int() | float() | Decimal128() | Decimal():
            return _same_number(left, right)
        case dict() | DBRef():
            left, right = _plain(left), _plain(right)
            return bool(
                isinstance(right, dict)
                and left.keys() == right.keys()
                and all(same(item, right[name]) for name, item in left.items())
            )
        case list():
            return (
                isinstance(right, list)
                and len(left) == len(right)
                and all(same(one, other) for one, other in zip(left, right, strict=True))
            )
        case Pairs():  # fields of one name keep their order
            return isinstance(right, Pairs) and same(fields(left), fields(right))
        case Repeated():
            return isinstance(right, Repeated) and same(list(left.values), list(right.values))
        case Regex() | RegularExpression():
            comparable = isinstance(right, Regex | RegularExpression)
            return comparable and regular_expression(left) == regular_expression(right)
        case ScopedCode():
            return isinstance(right, ScopedCode) and left.code == right.code and same(left.scope, right.scope)
        case bytes():
            return isinstance(right, bytes) and bytes(left) == bytes(right) and _subtype(left) == _subtype(right)
        case Code():
            return isinstance(right, Code) and str(left) == str(right) and same(left.scope, right.scope)
        case DatetimeMS():
            return isinstance(right, DatetimeMS) and int(left) == int(right)
        case _:
            return left.__class__ is right.__class__ and bool(left == right)


def _plain(value: Any) -> Any:
    return dict(value.as_doc()) if isinstance(value, DBRef) else value


def _subtype(value: bytes) -> int:
    return value.subtype if isinstance(value, Binary) else 0


def _same_number(left: Any, right: Any) -> bool:
    if isinstance(right, bool) or not isinstance(right, int | float | Decimal128 | Decimal):
        return False
    one, other = _number(left), _number(right)
    if one != one or other != other:
        return bool(one != one and other != other)
    return bool(one == other) and (one != 0 or _negative(one) == _negative(other))


def _number(value: Any) -> Any:
    if not isinstance(value, Decimal128):
        return value
    number = value.to_decimal()
    return nan if number.is_nan() else number  # to compare a signalling NaN is an error


def _negative(zero: Any) -> bool:
    return str(zero).startswith("-")


def same_as_stored(value: Any, stored: Any) -> bool:
    """Whether a row's value, a `warp.values` scalar or JSON, stands for this BSON value."""
    try:
        return same(value, _stored_value(stored))
    except ValueError:
        return False  # somebody else wrote into the row


def _stored_value(value: Any) -> Any:
    match value:
        case StoredJson():
            return parse(orjson.loads(value.text))
        case ObjectIdText():
            return ObjectId(str(value))
        case UUID():
            return Binary(value.bytes, 4)
        case _:
            return value
