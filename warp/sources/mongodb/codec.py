"""BSON documents as keys and records: what each BSON type becomes on its way to a row, and keys both ways."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal
from math import nan
from typing import Any
from uuid import UUID

import bson
import orjson
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, ObjectId

from warp.change import Key, KeyKind, Record
from warp.layouts import Form
from warp.sources.mongodb.bson_types import MalformedBinary, Pairs, Repeated, ScopedCode, Symbol
from warp.sources.mongodb.decoding import OPTIONS, decode
from warp.sources.mongodb.encoding import encode
from warp.sources.mongodb.extended_json import NotRelaxed, canonical_bytes, relaxed
from warp.sources.mongodb.parse import parse
from warp.sources.mongodb.tree import BSON
from warp.values import ObjectIdText, Opaque, Structured, Value

_INT64 = range(-(2**63), 2**63)


class BsonStructured(Structured):
    """An object or array that keeps its BSON value for the canonical form."""

    __slots__ = ("value",)

    def __init__(self, text: str, value: Any) -> None:
        self.text = text
        self.value = value

    def exact(self) -> bytes:
        return canonical_bytes(self.value)


def _structured(value: Any, suspicious: bool) -> Value:
    try:
        return BsonStructured(relaxed(value, suspicious=suspicious), value)
    except NotRelaxed:
        return Opaque(canonical_bytes(value), "not_json")


_DECIMAL128 = Context(prec=34, Emin=-6143, Emax=6144, capitals=1, traps=[])
_LARGEST_COEFFICIENT = 10**34 - 1
"""The encoding has room for more; by the standard, and to MongoDB, such a number is zero."""
_BID = struct.Struct("<QQ").unpack


def _number_of(value: Decimal128) -> Decimal:
    """`to_decimal`, which is slow, where the encoding is the plain one of a number that is not negative.

    IEEE 754-2008, binary integer decimal: a sign, 14 bits of exponent, 113 bits of coefficient.
    """
    low, high = _BID(value.bid)
    coefficient = (high & (1 << 49) - 1) << 64 | low
    if high >> 61 & 3 == 3 or high >> 63 or coefficient > _LARGEST_COEFFICIENT:
        return value.to_decimal()
    return Decimal(coefficient).scaleb((high >> 49 & 0x3FFF) - 6176, _DECIMAL128)


def _decimal(value: Decimal128) -> Value:
    number = _number_of(value)
    if not number.is_finite() or (number.is_zero() and number.is_signed()):
        return Opaque(canonical_bytes(value), "decimal_special")
    return number


def _binary(value: Binary) -> Value:
    if _is_uuid(value):
        return UUID(bytes=bytes(value))
    return Opaque(canonical_bytes(value), "binary_subtype")


def _is_uuid(value: Binary) -> bool:
    return value.subtype == bson.binary.UUID_SUBTYPE and len(value) == 16


_SCALARS: dict[type, Callable[[Any], Value]] = {
    Int64: int,
    ObjectId: lambda value: ObjectIdText(value),
    Decimal128: _decimal,
    Binary: _binary,
}
_AS_THEY_ARE = frozenset({type(None), bool, int, float, str, bytes, datetime})


def record_of(document: dict[str, Any], only: Form | None = None, *, suspicious: bool) -> Record:
    """The fields of a decoded document except `_id`, in the form of their table.

    `suspicious`: names with a meaning in Extended JSON were seen in the bytes it came from.
    """
    if only is not None:
        document = only.apply(document, BSON)
    record: dict[str, Value] = {}
    for name, value in document.items():
        kind = value.__class__
        if kind in _AS_THEY_ARE:
            record[name] = value
        elif kind is dict or kind is list or kind is Pairs:
            record[name] = _structured(value, suspicious)
        elif kind is DBRef:  # to mongod an object like any other
            record[name] = _structured(dict(value.as_doc()), suspicious)
        elif kind is Repeated:
            record[name] = Opaque(canonical_bytes(value), "repeated_field")
        else:
            scalar = _SCALARS.get(kind)
            record[name] = scalar(value) if scalar else Opaque(canonical_bytes(value), "bson_type")
    record.pop("_id", None)
    return record


def key_of(value: Any) -> Key:
    """The key that an `_id` is. Values that MongoDB holds equal give one key."""
    if value.__class__ is ObjectId:
        return Key(KeyKind.OBJECT_ID, str(value))
    if value.__class__ is str:
        return Key(KeyKind.STRING, value)
    if value.__class__ is Symbol:
        return Key(KeyKind.STRING, value.text)
    if value.__class__ is Binary and _is_uuid(value):
        return Key(KeyKind.UUID, str(UUID(bytes=bytes(value))))
    number = _canonical_number(value)
    if number.__class__ is int:
        return Key(KeyKind.INT, str(number))
    return Key(KeyKind.JSON, canonical_bytes(_canonical(value)).decode())


def key_value(key: Key) -> Any:
    """An `_id` that MongoDB holds equal to the one which gave this key."""
    match key.kind:
        case KeyKind.OBJECT_ID:
            return ObjectId(key.text)
        case KeyKind.STRING:
            return key.text
        case KeyKind.INT:
            return _int64(key.text)
        case KeyKind.UUID:
            return Binary(UUID(key.text).bytes, bson.binary.UUID_SUBTYPE)
        case KeyKind.JSON:
            return parse(orjson.loads(key.text))


def _int64(digits: str) -> Int64:
    if int(digits) not in _INT64:
        raise ValueError("MongoDB has no integers of more than 64 bits")
    return Int64(digits)


def _canonical_number(value: Any) -> Any:
    """One representative of all numbers that are equal to a number, which MongoDB compares exactly; others as they are.

    An int of 64 bits if there is one, or else a double, or else the shortest Decimal128.
    """
    match value:
        case bool():
            return value
        case int():
            return int(value)
        case float():
            return int(value) if value.is_integer() and int(value) in _INT64 else value
        case Decimal128():
            return _canonical_decimal(value.to_decimal())
        case _:
            return value


def _canonical_decimal(number: Decimal) -> Any:
    if number.is_nan():
        return nan  # all of them are equal; and of a signalling one Python makes no float
    if _INT64.start <= number < _INT64.stop and number == number.to_integral_value():
        return int(number)
    as_double = float(number)
    if Decimal(as_double) == number:
        return as_double
    return Decimal128(number.normalize(_DECIMAL128))


def _canonical(value: Any) -> Any:
    """One representative of all values that MongoDB holds equal as an `_id`."""
    match value:
        case dict():
            return {name: _canonical(item) for name, item in value.items()}
        case Pairs():
            return Pairs(tuple((name, _canonical(item)) for name, item in value.pairs))
        case DBRef():
            return _canonical(dict(value.as_doc()))
        case list():
            return [_canonical(item) for item in value]
        case Code() if value.scope is not None:
            return Code(str(value), _canonical(dict(value.scope)))
        case ScopedCode():
            return ScopedCode(value.code, _canonical(value.scope))
        case Symbol():
            return value.text
        case _:
            number = _canonical_number(value)
            return Int64(number) if number.__class__ is int else number


_HASHED_AS_THEY_ARE = frozenset(b"\x02\x05\x07\x08\x09")
"""BSON types whose equal values have equal bytes: string, binary, ObjectId, bool, date."""
_NUMBERS = frozenset(b"\x01\x10\x12\x13")
"""BSON types that pymongo decodes exactly, which is quicker than to see whether it did."""
_HASHED = bool | bytes | MalformedBinary | datetime | DatetimeMS
"""The classes of those that are keys of no kind of their own."""


def key_hash(document_key: bytes) -> int:
    """A number that is the same for every `_id` that MongoDB holds equal, from the BSON of `documentKey`.

    Only `_id` counts: the other fields of a sharded collection's document key can change.
    """
    if document_key[4:9].endswith(b"_id\0"):
        if document_key[4] in _HASHED_AS_THEY_ARE:
            return zlib.crc32(document_key[9 : 9 + _length(document_key)])
        if document_key[4] in _NUMBERS:
            return hash_of(key_of(bson.decode(document_key, OPTIONS)["_id"]))
    return hash_of(key_of(decode(document_key).get("_id")))


def hash_of(key: Key) -> int:
    """`key_hash` of the document keys that gave this key."""
    match key.kind:
        case KeyKind.OBJECT_ID:
            return zlib.crc32(ObjectId(key.text).binary)
        case KeyKind.STRING:
            text = key.text.encode("utf-8", "surrogateescape") + b"\0"
            return zlib.crc32(struct.pack("<i", len(text)) + text)
        case KeyKind.UUID:
            return key_hash(encode({"_id": key_value(key)}))
        case KeyKind.JSON if isinstance(value := key_value(key), _HASHED):
            return key_hash(encode({"_id": value}))
        case _:
            return zlib.crc32(key.text.encode("utf-8", "surrogateescape"))


def _length(document_key: bytes) -> int:
    """The length of the value of the first element, `_id`, whose type is one of `_HASHED_AS_THEY_ARE`."""
    match document_key[4]:
        case 0x07:
            return 12
        case 0x02:
            return 4 + int(struct.unpack_from("<i", document_key, 9)[0])
        case 0x05:
            return 5 + int(struct.unpack_from("<i", document_key, 9)[0])
        case 0x08:
            return 1
        case _:
            return 8


def split_document(document: Mapping[str, Any], only: Form | None = None, *, suspicious: bool) -> tuple[Key, Record]:
    """The key and the record of a whole document, in the form of its table."""
    return key_of(document["_id"]), record_of(dict(document), only, suspicious=suspicious)
