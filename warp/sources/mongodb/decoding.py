"""BSON bytes as values, with nothing lost. bsonspec.org, version 1.1.

pymongo's decoder is fast, but makes null of undefined, a string of a symbol and a DBRef of a DBPointer, keeps only the
last of two fields of one name and only those options of a regular expression that Python has, and refuses some bytes
that MongoDB holds. So what it has decoded is encoded again, which is cheap: where that does not give the same bytes,
the document is read by the reader below. Only the names of array elements, which are their numbers, are not kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import Struct
from typing import Any

import bson
from bson import Code, CodecOptions, MaxKey, MinKey, ObjectId
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError, InvalidBSON

from warp.sources.mongodb.bson_types import (
    DBPointer,
    MalformedBinary,
    Pairs,
    RegularExpression,
    ScopedCode,
    Symbol,
    Undefined,
    fields,
    object_of,
)

OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="surrogateescape"
)
"""Decode whatever mongod holds: dates past the year 9999 as DatetimeMS, bytes that are not UTF-8 as lone surrogates."""

FIXED_SIZES = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
"""Bytes of the values whose BSON type fixes them."""
INT32_SIZED = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0D: 4}
"""Bytes to add to the int32 at the start of a value that says its own size."""

# MongoDB takes 180 levels; to walk one, or to show it, can take ten frames, and Python stops at 1,000.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 5_000))

_INT32 = Struct("<i")
MALFORMED = (BSONError, UnicodeError, TypeError, ValueError, OverflowError)
"""What pymongo raises for what it cannot decode, or encode again."""


def decode(raw: bytes) -> dict[str, Any]:
    """One document; a field that stands in it more than once is `Repeated`."""
    try:
        document = bson.decode(raw, OPTIONS)
        if bson.encode(document, codec_options=OPTIONS) == raw:
            return document
    except MALFORMED:
        pass
    return fields(_object(raw, 0))


def decode_all(joined: bytes) -> list[dict[str, Any]]:
    """Any number of documents, joined."""
    starts = list(starts_of(joined))
    try:
        documents = bson.decode_all(joined, OPTIONS)
        whole = list(are_whole(documents, joined, starts))
    except MALFORMED:
        return [decode(joined[start : start + _int32(joined, start)]) for start in starts]
    return [
        document if kept else fields(_object(joined, start))
        for document, kept, start in zip(documents, whole, starts, strict=True)
    ]


def starts_of(joined: bytes) -> Iterator[int]:
    """Where each of the documents begins."""
    at = 0
    while at < len(joined):
        yield at
        at += _int32(joined, at)


def are_whole(objects: Sequence[Any], raw: bytes, starts: Iterable[int]) -> Iterator[bool]:
    """Whether each object that pymongo decoded is all that stands where it begins.

    Raises one of MALFORMED where one of them cannot be encoded. All are encoded at once, which takes half the time.
    """
    encoded = bson.encode({"": objects}, codec_options=OPTIONS)
    at = 10  # the sizes of document and array, the array's type and its empty name
    for number, start in enumerate(starts):
        at += 2 + len(str(number))
        end = at + _int32(encoded, at)
        yield raw.startswith(encoded[at:end], start)
        at = end


def _object(raw: bytes, at: int) -> dict[str, Any] | Pairs:
    return object_of(_elements(raw, at))


def _elements(raw: bytes, at: int) -> list[tuple[str, Any]]:
    """The names and values of the object or array that begins there."""
    found: list[tuple[str, Any]] = []
    end = at + _int32(raw, at) - 1
    at += 4
    while at < end:
        kind = raw[at]
        name, at = _c_string(raw, at + 1)
        if kind in _CONSTANTS:
            value = _CONSTANTS[kind]
        elif kind in _NUMBERS:
            number = _NUMBERS[kind]
            value = number.unpack_from(raw, at)[0]
            at += number.size
        else:
            value, at = _READERS.get(kind, _as_pymongo)(kind, raw, at)
        found.append((name, value))
    return found


_CONSTANTS = {0x0A: None, 0x7F: MaxKey(), 0xFF: MinKey()}
_NUMBERS = {0x01: Struct("<d"), 0x10: _INT32}
"""Read here as pymongo reads them, for speed: a document may hold millions."""


def _as_pymongo(kind: int, raw: bytes, at: int) -> tuple[Any, int]:
    """A value that pymongo's decoder does not bend."""
    size = FIXED_SIZES.get(kind)
    if size is None:
        if kind not in INT32_SIZED:
            raise InvalidBSON(f"not a BSON type: 0x{kind:02x}")
        size = _int32(raw, at) + INT32_SIZED[kind]
    end = at + size
    alone = _INT32.pack(size + 7) + bytes((kind, 0)) + raw[at:end] + b"\0"
    return bson.decode(alone, OPTIONS)[""], end


def _read_object(_: int, raw: bytes, at: int) -> tuple[Any, int]:
    return _object(raw, at), at + _int32(raw, at)


def _read_array(_: int, raw: bytes, at: int) -> tuple[Any, int]:
    return [value for _, value in _elements(raw, at)], at + _int32(raw, at)


def _read_binary(kind: int, raw: bytes, at: int) -> tuple[Any, int]:
    size = _int32(raw, at)
    end = at + 5 + size
    if raw[at + 4] == 2 and (size < 4 or _int32(raw, at + 5) != size - 4):
        return MalformedBinary(raw[at + 5 : end]), end
    return _as_pymongo(kind, raw, at)


def _read_undefined(_: int, __: bytes, at: int) -> tuple[Any, int]:
    return Undefined(), at


def _read_regular_expression(_: int, raw: bytes, at: int) -> tuple[Any, int]:
    pattern, at = _c_string(raw, at)
    options, at = _c_string(raw, at)
    return RegularExpression(pattern, options), at


def _read_pointer(_: int, raw: bytes, at: int) -> tuple[Any, int]:
    namespace, at = _string(raw, at)
    return DBPointer(namespace, ObjectId(raw[at : at + 12])), at + 12


def _read_symbol(_: int, raw: bytes, at: int) -> tuple[Any, int]:
    text, at = _string(raw, at)
    return Symbol(text), at


def _read_scoped_code(_: int, raw: bytes, at: int) -> tuple[Any, int]:
    code, inner = _string(raw, at + 4)
    scope = _object(raw, inner)
    return ScopedCode(code, scope) if isinstance(scope, Pairs) else Code(code, scope), at + _int32(raw, at)


_READERS: dict[int, Callable[[int, bytes, int], tuple[Any, int]]] = {
    0x03: _read_object,
    0x04: _read_array,
    0x05: _read_binary,
    0x06: _read_undefined,
    0x0B: _read_regular_expression,
    0x0C: _read_pointer,
    0x0E: _read_symbol,
    0x0F: _read_scoped_code,
}


def _int32(raw: bytes, at: int) -> int:
    return int(_INT32.unpack_from(raw, at)[0])


def _string(raw: bytes, at: int) -> tuple[str, int]:
    end = at + 4 + _int32(raw, at)
    return raw[at + 4 : end - 1].decode("utf-8", "surrogateescape"), end


def _c_string(raw: bytes, at: int) -> tuple[str, int]:
    end = raw.index(0, at)
    return raw[at:end].decode("utf-8", "surrogateescape"), end + 1
