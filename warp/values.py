"""The values a row may hold between a source and a destination, and their exact form in JSON.

A source turns what it reads into these; a destination stores each in a column of its kind, or exactly in `_extra`.
Extended JSON v2 (github.com/mongodb/specifications, extended-json) is the written form wherever JSON is needed.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)


class Kind(StrEnum):
    """What a column can hold. The destination maps each to a native type."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    DECIMAL = "decimal"
    STRING = "string"
    OBJECT_ID = "objectid"
    BINARY = "binary"
    UUID = "uuid"
    TIMESTAMP = "timestamp"
    JSON = "json"
    TEXT = "text"
    """The text of any value; that of another one than a string is there to be read, and its exact value in `_extra`."""
    ANY = "any"
    """Any value, as relaxed Extended JSON, where jsonb holds that exactly."""


class ObjectIdText(str):
    """An ObjectId as 24 hexadecimal digits: text like any other in the column, but not equal to a string."""

    __slots__ = ()


class Structured(ABC):
    """An object or array: `text` is relaxed Extended JSON that jsonb can hold, `exact()` the canonical form of it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @abstractmethod
    def exact(self) -> bytes:
        """Canonical Extended JSON, UTF-8."""


class Opaque:
    """Held exactly by no column kind: `text` is its canonical Extended JSON, `reason` a word for counters."""

    __slots__ = ("reason", "text")

    def __init__(self, text: bytes, reason: str) -> None:
        self.text = text
        self.reason = reason


Value = None | bool | int | float | str | bytes | datetime | Decimal | UUID | Structured | Opaque
"""`datetime` is naive and in UTC, in whole milliseconds; a `Decimal` is finite, and not negative zero."""

KIND_OF: dict[type, Kind] = {
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.DOUBLE,
    Decimal: Kind.DECIMAL,
    str: Kind.STRING,
    ObjectIdText: Kind.OBJECT_ID,
    bytes: Kind.BINARY,
    UUID: Kind.UUID,
    datetime: Kind.TIMESTAMP,
}


def kind_of(value: Value) -> Kind | None:
    """The column kind that a value asks for; None for null and for what no column holds."""
    kind = KIND_OF.get(value.__class__)
    if kind is None and isinstance(value, Structured):
        return Kind.JSON
    return kind


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970 of a naive UTC datetime."""
    return (moment - EPOCH) // _MILLISECOND


def iso_date(moment: datetime) -> str:
    """Relaxed Extended JSON's form of a date of the years 1970 to 9999: milliseconds only where there are any."""
    return moment.replace(tzinfo=UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")[:-6] + "Z"


def exact_string(text: str) -> Any:
    """A string for jsonb: itself, or `{"$utf8": base64}` where jsonb refuses it (U+0000, bytes that are not UTF-8)."""
    if "\0" not in text:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return {"$utf8": base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()}


def string_of(exact: Any) -> str:
    """The string that `exact_string` wrote."""
    if isinstance(exact, str):
        return exact
    return str(base64.b64decode(exact["$utf8"]), "utf-8", "surrogateescape")


def exact_double(number: float) -> dict[str, str]:
    """Canonical Extended JSON of a double."""
    if number != number:
        return {"$numberDouble": "NaN"}
    if number in (float("inf"), float("-inf")):
        return {"$numberDouble": "Infinity" if number > 0 else "-Infinity"}
    return {"$numberDouble": repr(number)}


def json_bytes(value: Any) -> bytes:
    """JSON of any depth: orjson ends at 254 levels, and what a source nests to 180 levels may be wrapped at each."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def exact_json(value: Value) -> bytes:
    """Canonical Extended JSON of a value, UTF-8; an int of any width is `$numberLong`."""
    if isinstance(value, Opaque):
        return value.text
    if isinstance(value, Structured):
        return value.exact()
    return orjson.dumps(_exact_scalar(value))


def _exact_scalar(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case ObjectIdText():
            return {"$oid": str(value)}
        case str():
            return exact_string(value)
        case int():
            return {"$numberLong": str(value)}
        case float():
            return exact_double(value)
        case Decimal():
            return {"$numberDecimal": str(value)}
        case bytes():
            return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": "00"}}
        case UUID():
            return {"$binary": {"base64": base64.b64encode(value.bytes).decode(), "subType": "04"}}
        case datetime():
            return {"$date": {"$numberLong": str(milliseconds(value))}}
        case _:
            raise TypeError(f"not a value of a row: {type(value).__name__}")
