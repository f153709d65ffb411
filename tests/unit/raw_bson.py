"""BSON bytes of every type that mongod stores, also such as no driver would write today. bsonspec.org, version 1.1."""

from __future__ import annotations

import struct

from bson import Decimal128
from hypothesis import strategies as st

NAMES = st.sampled_from(
    (b"a", b"", b"a.b", b"$oid", b"$date", b"$numberLong", b"$ref", b"$id", b"$db", b"$code", b"\xff", b"x" * 70)
)
_TEXTS = st.sampled_from((b"", b"abc", b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", "\U0001f600".encode()))
_C_TEXTS = st.sampled_from((b"", b"a(", b"\xff"))
_OPTIONS = st.sampled_from((b"", b"i", b"imsx", b"mi", b"zq", b"\xff"))


def string(text: bytes) -> bytes:
    return struct.pack("<i", len(text) + 1) + text + b"\0"


def document(elements: list[tuple[bytes, tuple[int, bytes]]]) -> bytes:
    """A document of named elements, each a type and the bytes of its value."""
    body = b"".join(bytes([kind]) + name + b"\0" + value for name, (kind, value) in elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _binary(subtype: int, data: bytes) -> bytes:
    if subtype == 2:
        data = struct.pack("<i", len(data)) + data
    return struct.pack("<i", len(data)) + bytes([subtype]) + data


def _of(kind: int, values: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[int, bytes]]:
    return values.map(lambda value: (kind, value))


def _fixed(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def _numbers(number: int) -> list[tuple[int, bytes]]:
    """A number in each of its types, of which MongoDB holds all equal; a zero also with a sign, for some."""
    decimals = [Decimal128(f"{number}"), Decimal128(f"{number}.00"), Decimal128(f"{number}0E-1")]
    return [
        (0x10, struct.pack("<i", number)),
        (0x12, struct.pack("<q", number)),
        (0x01, struct.pack("<d", number or -0.0)),
        *((0x13, decimal.bid) for decimal in decimals),
    ]


_DOUBLES = st.sampled_from((0.0, -0.0, 8.0, 1e300, float("nan"), float("inf"))).map(struct.Struct("<d").pack)
_SCALARS = st.one_of(
    _of(0x01, _DOUBLES | _fixed(8)),
    *[_of(kind, _TEXTS.map(string)) for kind in (0x02, 0x0D, 0x0E)],
    st.sampled_from([*_numbers(0), *_numbers(8), *_numbers(-1)]),
    _of(0x05, st.sampled_from((b"\0\0\0\0\2", b"\3\0\0\0\2abc", b"\7\0\0\0\2\4\0\0\0abc"))),
    _of(0x05, st.builds(_binary, st.sampled_from((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 128, 255)), st.binary(max_size=16))),
    *[_of(kind, st.just(b"")) for kind in (0x06, 0x0A, 0x7F, 0xFF)],
    _of(0x07, _fixed(12)),
    _of(0x08, st.sampled_from((b"\0", b"\1"))),
    *[_of(kind, _fixed(8)) for kind in (0x09, 0x11, 0x12)],
    _of(0x0B, st.builds(lambda pattern, options: pattern + b"\0" + options + b"\0", _C_TEXTS, _OPTIONS)),
    _of(0x0C, st.builds(lambda name, oid: string(name) + oid, _TEXTS, _fixed(12))),
    _of(0x10, _fixed(4)),
    _of(0x13, _fixed(16)),
)


def _nested(inner: st.SearchStrategy[tuple[int, bytes]]) -> st.SearchStrategy[tuple[int, bytes]]:
    objects = st.lists(st.tuples(NAMES, inner), max_size=3).map(document)
    arrays = st.lists(inner, max_size=3).map(
        lambda items: document([(str(number).encode(), item) for number, item in enumerate(items)])
    )

    def scoped(scope: bytes) -> bytes:
        code = string(b"x") + scope
        return struct.pack("<i", len(code) + 4) + code

    return _of(0x03, objects) | _of(0x04, arrays) | _of(0x0F, objects.map(scoped))


VALUES = st.recursive(_SCALARS, _nested, max_leaves=6)
"""A type and the bytes of a value."""
