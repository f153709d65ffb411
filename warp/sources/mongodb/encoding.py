"""Values as BSON bytes, also those that pymongo cannot encode: what `decoding` reads can be sent back to the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Any

import bson
from bson import Code, DBRef
from bson.errors import BSONError

from warp.sources.mongodb.bson_types import (
    DBPointer,
    MalformedBinary,
    Pairs,
    RegularExpression,
    ScopedCode,
    Symbol,
    Undefined,
)
from warp.sources.mongodb.decoding import OPTIONS

_INT32 = Struct("<i")


def encode(document: Mapping[str, Any]) -> bytes:
    """A document; its strings may hold lone surrogates, for bytes that are not UTF-8."""
    try:
        return bson.encode(document, codec_options=OPTIONS)
    except (BSONError, UnicodeError):
        return _object(document.items())


def _object(pairs: Iterable[tuple[str, Any]]) -> bytes:
    elements = []
    for name, value in pairs:
        kind, written = _value(value)
        elements.append(bytes((kind,)) + _bytes(name) + b"\0" + written)
    body = b"".join(elements)
    return _INT32.pack(len(body) + 5) + body + b"\0"


def _value(value: Any) -> tuple[int, bytes]:
    """The type and the bytes of a value."""
    match value:
        case Code():
            scope = value.scope
            return (0x0D, _string(value)) if scope is None else (0x0F, _scoped(value, _object(scope.items())))
        case ScopedCode():
            return 0x0F, _scoped(value.code, _object(value.scope.pairs))
        case str():
            return 0x02, _string(value)
        case dict():
            return 0x03, _object(value.items())
        case Pairs():
            return 0x03, _object(value.pairs)
        case DBRef():
            return 0x03, _object(value.as_doc().items())
        case list():
            return 0x04, _object((str(number), item) for number, item in enumerate(value))
        case MalformedBinary():
            return 0x05, _INT32.pack(len(value.data)) + b"\2" + value.data
        case Undefined():
            return 0x06, b""
        case RegularExpression():
            return 0x0B, _bytes(value.pattern) + b"\0" + _bytes(value.options) + b"\0"
        case DBPointer():
            return 0x0C, _string(value.namespace) + value.id.binary
        case Symbol():
            return 0x0E, _string(value.text)
        case _:
            alone = bson.encode({"": value}, codec_options=OPTIONS)
            return alone[4], alone[6:-1]


def _scoped(code: str, scope: bytes) -> bytes:
    text = _string(code)
    return _INT32.pack(4 + len(text) + len(scope)) + text + scope


def _string(text: str) -> bytes:
    written = _bytes(text) + b"\0"
    return _INT32.pack(len(written)) + written


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
