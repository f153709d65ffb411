"""The documents and changes that are measured: orders of a shop.

Everything is encoded ahead of the clock, and sent in commands of the size of a bulk write.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson import Decimal128, ObjectId
from bson.raw_bson import RawBSONDocument

DATABASE = "shop"
COLLECTION = "orders"
Command = dict[str, Any]
"""A write command of MongoDB."""

_COMMAND_CHANGES = 1000
_FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
_STATUSES = ("placed", "paid", "packed", "shipped", "delivered", "returned")
_STREETS = ("Harbour Street", "Mill Lane", "Station Road", "Rue de la République", "Königsallee")
_CITIES = (("Rotterdam", "NL"), ("Leipzig", "DE"), ("Lyon", "FR"), ("Malmö", "SE"), ("Porto", "PT"))


def inserts(numbers: range) -> Iterator[Command]:
    """Commands that insert the orders of these numbers, in order."""
    for some in _batches(numbers):
        yield {"insert": COLLECTION, "documents": [_raw(order(number)) for number in some], "ordered": False}


def updates(numbers: range) -> Iterator[Command]:
    """Commands that change three fields of each of these orders once, in random order; other ones every time."""
    rng = random.Random()
    shuffled = list(numbers)
    rng.shuffle(shuffled)
    for some in _batches(shuffled):
        yield {"update": COLLECTION, "updates": [_raw(_update(number, rng)) for number in some], "ordered": False}


def order(number: int) -> dict[str, Any]:
    """An order of about 400 bytes of BSON."""
    rng = random.Random(number)
    city, country = rng.choice(_CITIES)
    placed = _FIRST_DAY + timedelta(seconds=number * 7)
    items: list[dict[str, Any]] = [
        {"sku": f"P-{rng.randrange(10**5):05}", "quantity": rng.randint(1, 5), "price": rng.randrange(10**4) / 100}
        for _ in range(3)
    ]
    return {
        "_id": order_id(number),
        "number": number,
        "customer_id": order_id(rng.randrange(50_000)),
        "status": rng.choice(_STATUSES),
        "placed_at": placed,
        "updated_at": placed,
        "total": Decimal128(f"{sum(item['quantity'] * item['price'] for item in items):.2f}"),
        "shipping": {
            "street": f"{rng.choice(_STREETS)} {rng.randint(1, 200)}",
            "city": city,
            "country": country,
            "express": rng.random() < 0.2,
        },
        "items": items,
    }


def order_id(number: int) -> ObjectId:
    """The `_id` of an order: they grow with the number, as those that a driver makes do."""
    return ObjectId(b"\x68\x00\x00\x00\x5e\xed\x5e\xed" + number.to_bytes(4, "big"))


def _update(number: int, rng: random.Random) -> dict[str, Any]:
    changed = {
        "status": rng.choice(_STATUSES),
        "updated_at": _FIRST_DAY + timedelta(seconds=rng.randrange(10**8)),
        "shipping.express": rng.random() < 0.5,
    }
    return {"q": {"_id": order_id(number)}, "u": {"$set": changed}}


def _raw(document: dict[str, Any]) -> RawBSONDocument:
    return RawBSONDocument(bson.encode(document))


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), _COMMAND_CHANGES):
        yield numbers[start : start + _COMMAND_CHANGES]
