"""The BSON values that pymongo has no class for, or whose class loses something. bsonspec.org, version 1.1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bson import DBRef, ObjectId, Regex


@dataclass(frozen=True, slots=True)
class Undefined:
    """Type 0x06, which is not null."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """Type 0x0E, which is not a string, though as an `_id` MongoDB holds the two equal."""

    text: str


@dataclass(frozen=True, slots=True)
class DBPointer:
    """Type 0x0C. A DBRef is another thing: an object with certain names."""

    namespace: str
    id: ObjectId


@dataclass(frozen=True, slots=True)
class RegularExpression:
    """Type 0x0B, with its options as they are written: any letters, in any order."""

    pattern: str
    options: str


@dataclass(frozen=True, slots=True)
class MalformedBinary:
    """Type 0x05 of the old subtype 2, whose bytes should begin with their own length and do not. MongoDB takes it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pairs:
    """An object in which a name stands more than once, as pairs of name and value."""

    pairs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ScopedCode:
    """Type 0x0F whose scope is such an object; any other is a `bson.Code`."""

    code: str
    scope: Pairs


@dataclass(frozen=True, slots=True)
class Repeated:
    """A field that stands more than once in its document: all of its values, in order."""

    values: tuple[Any, ...]


def object_of(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any] | Pairs:
    """The object of these names and values, in order."""
    kept = tuple(pairs)
    names = dict(kept)
    return names if len(names) == len(kept) else Pairs(kept)


def fields(value: dict[str, Any] | Pairs | DBRef) -> dict[str, Any]:
    """The fields of an object that is a whole document, each name once."""
    match value:
        case Pairs():
            found: dict[str, list[Any]] = {}
            for name, item in value.pairs:
                found.setdefault(name, []).append(item)
            return {name: items[0] if len(items) == 1 else Repeated(tuple(items)) for name, items in found.items()}
        case DBRef():  # to MongoDB an object like any other
            return dict(value.as_doc())
        case _:
            return value


_FLAGS = {re.I: "i", re.L: "l", re.M: "m", re.S: "s", re.U: "u", re.X: "x"}
_REGEX_FLAGS = {int(flag): letter for flag, letter in _FLAGS.items()}
"""As plain numbers, with which Python reckons ten times as fast: a document can hold a million of them."""


def regular_expression(value: Regex[Any] | RegularExpression) -> RegularExpression:
    """A regular expression as the class that loses nothing."""
    if isinstance(value, RegularExpression):
        return value
    options = "".join(letter for flag, letter in _REGEX_FLAGS.items() if value.flags & flag)
    return RegularExpression(str(value.pattern), options)
