"""Made-up documents: every kind of value that BSON has, in fields that do not keep to one kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

FIELDS = 12
"""Fields named `f0`, `f1`, …, beside `count`, `list` and `nested`, which keep their kind for updates to rely on."""
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_WORDS = ("tea", "Käse", "a\tb\nc\\d", "", "\\N", "null", "x" * 300, "e\u0301", "\U0001f375", '{"$oid": 1}')

_USUAL: tuple[Callable[[random.Random], Any], ...] = (
    lambda rng: rng.randrange(-1000, 1000),
    lambda rng: Int64(rng.randrange(-(2**62), 2**62)),
    lambda rng: rng.uniform(-1e6, 1e6),
    lambda rng: rng.choice(_WORDS),
    lambda rng: rng.random() < 0.5,
    lambda rng: _BEGINNING + timedelta(milliseconds=rng.randrange(10**11)),
    lambda rng: Decimal128(f"{rng.randrange(10**9)}.{rng.randrange(100):02}"),
    lambda rng: object_id(rng),
    lambda rng: rng.randbytes(rng.randrange(20)),
    lambda rng: [rng.randrange(10), {"deep": [rng.choice(_WORDS), None]}],
    lambda rng: {"a": rng.randrange(10), "b": {"at": _BEGINNING, "id": object_id(rng)}},
    lambda _: None,
)
_RARE: tuple[Any, ...] = (
    float("nan"),
    float("inf"),
    -0.0,
    2.0**60,
    Decimal128("NaN"),
    Decimal128("-0"),
    Decimal128("1E+6000"),
    DatetimeMS(10**15),
    DatetimeMS(-(10**15)),
    "zero\0byte",
    Regex("^a.*", "i"),
    Timestamp(1_600_000_000, 3),
    MinKey(),
    MaxKey(),
    Code("function () {}"),
    Binary(b"md5", 5),
    {"$oid": "not one"},
    {"n": float("nan")},
)


def object_id(rng: random.Random) -> ObjectId:
    """A random ObjectId."""
    return ObjectId(rng.randbytes(12))


def value(rng: random.Random) -> Any:
    """A random value, now and then one that no column holds."""
    return rng.choice(_RARE) if rng.random() < 0.04 else rng.choice(_USUAL)(rng)


def document(rng: random.Random, key: Any) -> dict[str, Any]:
    """A random document with that key."""
    fields = {f"f{number}": value(rng) for number in rng.sample(range(FIELDS), rng.randrange(1, 6))}
    return {"_id": key, "count": rng.randrange(100), "list": [value(rng)], "nested": {"x": value(rng)}, **fields}


def mixed_key(rng: random.Random) -> Any:
    """A random `_id` of any kind."""
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: object_id(rng),
        lambda: f"key-{rng.randrange(10**9)}",
        lambda: rng.randrange(10**9),
        lambda: rng.uniform(0, 10**9),
        lambda: {"shop": rng.randrange(100), "day": str(rng.randrange(10**6))},
        lambda: Binary(rng.randbytes(16), 4),
    )
    return rng.choice(kinds)()


Update = dict[str, Any] | list[dict[str, Any]]
"""Operators, or a pipeline."""


def update(rng: random.Random) -> Update:
    """A random update that any `document` takes, of any kind."""
    field, other = (f"f{number}" for number in rng.sample(range(FIELDS), 2))
    number = rng.randrange(1, 5)
    kinds: tuple[Callable[[], Update], ...] = (
        lambda: {"$set": {field: value(rng), "nested.x": value(rng)}},
        lambda: {"$unset": {field: ""}},
        lambda: {"$rename": {field: other}},
        lambda: {"$inc": {"count": number}},
        lambda: {rng.choice(("$min", "$max")): {"count": number}, "$currentDate": {"touched": True}},
        lambda: {"$mul": {"count": -1}, "$setOnInsert": {field: value(rng)}},
        lambda: {"$bit": {"count": {rng.choice(("or", "xor")): number}}},
        lambda: {"$push": {"list": {"$each": [value(rng)], "$slice": -5}}},
        lambda: {"$push": {"list": {"$each": [number, value(rng)], "$position": 0}}},
        lambda: {"$addToSet": {"list": {"$each": [number, value(rng)]}}},
        lambda: {"$pop": {"list": rng.choice((-1, 1))}},
        lambda: {"$pull": {"list": {"$gte": number}}},
        lambda: {"$set": {"list.$[]": value(rng)}},
        lambda: {"$set": {f"list.{number}": value(rng)}},
        lambda: [
            {"$set": {"count": {"$add": ["$count", number]}, other: f"${field}", "nested": {"y": "$nested.x"}}},
            {"$set": {"list": {"$slice": [{"$concatArrays": ["$list", [number]]}, -5]}}},
            {"$unset": field},
        ],
    )
    return rng.choice(kinds)()
