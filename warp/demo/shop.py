"""A made-up shop: customers, products, orders and events, the same for the same seed.

Keys follow from numbers, so that documents can name one another, and a writer can pick one, without asking the server.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Binary, Decimal128, Int64, ObjectId

Document = dict[str, Any]

SHARES = {"customers": 0.15, "products": 0.05, "orders": 0.30, "events": 0.50}
"""How many of all documents each collection has."""
BATCH = 1000

_OPENED = datetime(2024, 3, 1, 8, tzinfo=UTC)
_SECONDS_OPEN = 2 * 365 * 24 * 3600
_FIRST_NAMES = ("Zoë", "Łukasz", "美咲", "Noah", "Søren", "Aisha", "José", "Иван", "Chloé", "Mei", "Ravi", "Émile")
_LAST_NAMES = ("Müller", "O'Neill", "García", "田中", "Nowak", "Çelik", "Smith", "Petrov", "d'Arc", "Nguyễn", "Åberg")
_CITIES = (("Zürich", "CH"), ("São Paulo", "BR"), ("København", "DK"), ("東京", "JP"), ("Kraków", "PL"), ("Lyon", "FR"))
_STREETS = ("Hauptstraße", "Rue de l'Église", "High Street", "Calle Mayor", "Nygade", "ul. Długa")
_TAGS = ("new", "sale", "eco", "vegan", "gift", "refurbished", "limited", "bulk", "☕", "für Kinder")
_THINGS = ("teapot", "lamp", "desk", "bicycle bell", "notebook", "kettle", "scarf", "headphones", "Kuckucksuhr")
_COLOURS = ("red", "teal", "black", "walnut", "crème", "indigo")
_STATES = ("placed", "paid", "packed", "shipped", "delivered", "returned")
_LINES = (1, 1, 2, 2, 3, 5)
_QUANTITIES = (1, 1, 1, 2, 4)
_PRICES = range(95, 50_000, 100)
_AMOUNTS = {cents: Decimal128(f"{cents // 100}.{cents % 100:02}") for cents in _PRICES}
_KINDS = ("view", "search", "add_to_cart", "remove_from_cart", "checkout", "login")
_AGENTS = ("Firefox/141.0", "Chrome/139.0", "Safari/18.5", "curl/8.9", "shop-app/4.2 (Android)", "shop-app/4.2 (iOS)")


def counts(total: int) -> dict[str, int]:
    """How many documents each collection has, `total` in all; at least one each."""
    sizes = {name: max(1, int(total * share)) for name, share in SHARES.items()}
    sizes["events"] = max(1, total - sum(sizes.values()) + sizes["events"])
    return sizes


def shop(total: int, seed: int) -> Iterator[tuple[str, list[Document]]]:
    """All documents, as batches of one collection each."""
    rng = random.Random(seed)
    sizes = counts(total)
    for name, size in sizes.items():
        for start in range(0, size, BATCH):
            yield name, [document(name, number, rng, sizes) for number in range(start, min(start + BATCH, size))]


def key(collection: str, number: int) -> Any:
    """The `_id` of a collection's document of that number."""
    return _KEYS[collection](number)


def document(collection: str, number: int, rng: random.Random, sizes: dict[str, int]) -> Document:
    """A new document of that number; others that it names have numbers below `sizes`."""
    return _MAKERS[collection](number, rng, sizes)


def _customer(number: int, rng: random.Random, _: dict[str, int]) -> Document:
    first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    customer: Document = {
        "_id": key("customers", number),
        "name": {"first": first, "last": last},
        "email": f"customer{number}@example.com",
        "addresses": [_address(rng) for _ in range(rng.choice((1, 1, 1, 2)))],
        "since": _moment(rng),
        "newsletter": rng.random() < 0.4,
        "orders_placed": 0,
        "credit": Decimal128(f"{rng.randrange(20_000) / 100:.2f}"),
    }
    if rng.random() < 0.6:
        # Some wrote it as a number, as happens.
        customer["phone"] = rng.randrange(10**9, 10**10) if rng.random() < 0.1 else f"+41 {rng.randrange(10**9):09}"
    if rng.random() < 0.1:
        customer["birthday"] = _moment(rng) - timedelta(days=rng.randrange(7_000, 30_000))
    if rng.random() < 0.05:
        customer["notes"] = None
    return customer


def _address(rng: random.Random) -> Document:
    city, country = rng.choice(_CITIES)
    return {
        "street": f"{rng.choice(_STREETS)} {rng.randrange(1, 200)}",
        "city": city,
        "country": country,
        "location": {"type": "Point", "coordinates": [rng.uniform(-180, 180), rng.uniform(-90, 90)]},
    }


def _product(number: int, rng: random.Random, _: dict[str, int]) -> Document:
    thing, colour = rng.choice(_THINGS), rng.choice(_COLOURS)
    product: Document = {
        "_id": key("products", number),
        "title": f"{colour} {thing}",
        "price": _AMOUNTS[_cents(number)],
        "stock": rng.randrange(1_000),
        "tags": rng.sample(_TAGS, rng.randrange(4)),
        "dimensions": {"width": rng.randrange(5, 200), "height": rng.randrange(5, 200), "unit": "cm"},
        "weight_kg": rng.uniform(0.1, 30),
        "updated_at": _moment(rng),
    }
    if rng.random() < 0.5:
        product["rating"] = {"average": round(rng.uniform(1, 5), 2), "votes": rng.randrange(500)}
    if rng.random() < 0.2:
        product["thumbnail"] = Binary(rng.randbytes(rng.randrange(40, 120)))
    if rng.random() < 0.05:
        product["discontinued"] = True
    return product


def _order(number: int, rng: random.Random, sizes: dict[str, int]) -> Document:
    bought = [(int(rng.random() * sizes["products"]), rng.choice(_QUANTITIES)) for _ in range(rng.choice(_LINES))]
    total = sum(_cents(product) * quantity for product, quantity in bought)
    order: Document = {
        "_id": key("orders", number),
        "customer_id": key("customers", int(rng.random() * sizes["customers"])),
        "lines": [
            {"sku": key("products", product), "quantity": quantity, "price": _AMOUNTS[_cents(product)]}
            for product, quantity in bought
        ],
        "total": Decimal128(f"{total // 100}.{total % 100:02}"),
        "state": rng.choice(_STATES),
        "placed_at": _moment(rng),
        "history": [],
    }
    if rng.random() < 0.15:
        order["coupon"] = {"code": f"SPRING{rng.randrange(100):02}", "percent": rng.choice((5, 10, 20))}
    if rng.random() < 0.1:
        order["remark"] = 'Bitte klingeln, «leave it»\nat the "back door" \\o/'
    return order


def _event(number: int, rng: random.Random, sizes: dict[str, int]) -> Document:
    event: Document = {
        "_id": key("events", number),
        "kind": rng.choice(_KINDS),
        "customer_id": key("customers", int(rng.random() * sizes["customers"])),
        "at": _moment(rng),
        "session": f"{rng.getrandbits(64):016x}",
        "milliseconds": rng.expovariate(1 / 40),
        "context": {"agent": rng.choice(_AGENTS), "page": rng.randrange(50)},
    }
    if rng.random() < 0.5:
        event["sku"] = key("products", int(rng.random() * sizes["products"]))
    return event


def _cents(product: int) -> int:
    return _PRICES[product * 7919 % len(_PRICES)]


def _moment(rng: random.Random) -> datetime:
    return _OPENED + timedelta(milliseconds=int(rng.random() * _SECONDS_OPEN * 1000))


_KEYS: dict[str, Callable[[int], Any]] = {
    "customers": lambda number: ObjectId(f"{0x65E1B9C0:08x}{1:08x}{number:08x}"),
    "products": lambda number: f"SKU-{number:06}",
    "orders": lambda number: ObjectId(f"{0x65E1B9C0:08x}{2:08x}{number:08x}"),
    "events": Int64,
}
_MAKERS: dict[str, Callable[[int, random.Random, dict[str, int]], Document]] = {
    "customers": _customer,
    "products": _product,
    "orders": _order,
    "events": _event,
}
