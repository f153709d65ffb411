"""Which PostgreSQL type a column kind has, and each value as COPY text of such a column, or not at all.

A value that does not fit its column exactly is never bent until it does: its encoder returns None, and the row keeps
it in `_extra`. COPY text format: PostgreSQL manual, COPY, "Text Format".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import orjson

from warp.evolution.misfits import EXACT_IN_DOUBLE
from warp.values import EPOCH, Kind, ObjectIdText, Structured, Value, exact_json, exact_string, iso_date

SQL_TYPES = {
    Kind.BOOL: "boolean",
    Kind.INT: "bigint",
    Kind.DOUBLE: "double precision",
    Kind.DECIMAL: "numeric",
    Kind.STRING: "text",
    Kind.OBJECT_ID: "text",
    Kind.BINARY: "bytea",
    Kind.UUID: "uuid",
    Kind.TIMESTAMP: "timestamp with time zone",
    Kind.JSON: "jsonb",
    Kind.TEXT: "text",
    Kind.ANY: "jsonb",
}

NULL = "\\N"
_SPECIAL = re.compile(r"[\\\n\r\t]")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
ANY_INEXACT_FROM, ANY_INEXACT_TO = 1e16, 2.0**64
"""Doubles whose shortest digits may be another integer than they are, which jsonb would take them for."""
_INT64_END = 2**63

Encoder = Callable[[Any], str | None]


def escape(text: str) -> str:
    """A text as COPY wants it."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text)


def _text(value: str) -> str | None:
    if value.isprintable() and "\\" not in value:
        return value
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return None
    return escape(value)


def _int_in_double(value: int) -> str | None:
    return str(value) if -EXACT_IN_DOUBLE <= value <= EXACT_IN_DOUBLE else None


def _double_in_int(value: float) -> str | None:
    if value.is_integer() and -_INT64_END <= value < _INT64_END and not (value == 0 and str(value) == "-0.0"):
        return str(int(value))
    return None


def _double_in_decimal(value: float) -> str | None:
    return str(int(value)) if value.is_integer() and str(value) != "-0.0" else None


def _timestamp(value: datetime) -> str:
    return value.isoformat(" ") + "+00"


def _double_in_any(value: float) -> str | None:
    is_exact = isfinite(value) and str(value) != "-0.0" and not ANY_INEXACT_FROM <= abs(value) < ANY_INEXACT_TO
    return repr(value) if is_exact else None


def _string_in_any(value: str) -> str | None:
    return escape(orjson.dumps(value).decode()) if exact_string(value) is value else None


def _timestamp_in_any(value: datetime) -> str:
    return exact_json(value).decode() if value < EPOCH else f'{{"$date":"{iso_date(value)}"}}'


def _exact_in_any(value: Any) -> str:
    return exact_json(value).decode()


_ENCODERS: dict[Kind, dict[type, Encoder]] = {
    Kind.BOOL: {bool: lambda value: "t" if value else "f"},
    Kind.INT: {int: str, float: _double_in_int},
    Kind.DOUBLE: {float: repr, int: _int_in_double},
    Kind.DECIMAL: {Decimal: str, int: str, float: _double_in_decimal},
    Kind.STRING: {str: _text},
    Kind.TEXT: {str: _text},
    Kind.OBJECT_ID: {ObjectIdText: str},
    Kind.BINARY: {bytes: lambda value: "\\\\x" + value.hex()},
    Kind.UUID: {UUID: str},
    Kind.TIMESTAMP: {datetime: _timestamp},
    Kind.ANY: {
        bool: lambda value: "true" if value else "false",
        int: str,
        float: _double_in_any,
        Decimal: _exact_in_any,
        str: _string_in_any,
        ObjectIdText: _exact_in_any,
        bytes: _exact_in_any,
        UUID: _exact_in_any,
        datetime: _timestamp_in_any,
    },
}


def _json(value: Structured) -> str:
    return escape(value.text) if "\\" in value.text else value.text


def encoders(kind: Kind) -> Mapping[type, Encoder]:
    """The encoders of a column of that kind, by the class of the value; one that is absent does not fit."""
    own = _ENCODERS.get(kind, {})
    return own | dict.fromkeys(Structured.__subclasses__(), _json) if kind in (Kind.JSON, Kind.ANY) else own


def readable(value: Value) -> str | None:
    """The text of a value that is no string, in a column of texts: never what it is read back from."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | ObjectIdText() | UUID():
            return str(value)
        case float():
            return _readable_double(value)
        case Decimal():
            return f"{value:f}"
        case bytes():
            return "\\\\x" + value.hex()
        case datetime():
            return value.isoformat(timespec="milliseconds") + "Z"
        case Structured():
            return _json(value)
        case _:
            return None


def _readable_double(value: float) -> str:
    """As PostgreSQL writes it."""
    if not isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if 1e15 <= abs(value) < 1e16:
        return f"{Decimal(repr(value)).normalize():e}"
    return repr(value).removesuffix(".0")
