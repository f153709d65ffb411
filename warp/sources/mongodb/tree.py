"""Decoded BSON documents for filters and layouts: how they are taken apart and put together (`warp.filters.Tree`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from bson import DBRef, Int64

from warp.sources.mongodb.bson_types import Pairs, Repeated, object_of
from warp.sources.mongodb.extended_json import canonical_bytes


class BsonTree:
    """See `warp.filters.Tree` for the contract of each method. A field that stands in its document more than once
    counts as an array of its values."""

    def pairs(self, value: Any) -> Collection[tuple[str, Any]] | None:
        match value:
            case dict():
                return value.items()
            case Pairs():
                return value.pairs
            case DBRef():  # to mongod an object like any other
                return value.as_doc().items()
            case _:
                return None

    def object_of(self, pairs: Iterable[tuple[str, Any]]) -> Any:
        return object_of(pairs)

    def items(self, value: Any) -> Sequence[Any] | None:
        match value:
            case list():
                return value
            case Repeated():
                return value.values
            case _:
                return None

    def with_items(self, value: Any, items: Sequence[Any]) -> Any:
        return Repeated(tuple(items)) if isinstance(value, Repeated) else list(items)

    def exact(self, value: Any) -> bytes:
        if value.__class__ is str:
            return value.encode("utf-8", "surrogateescape")
        if value.__class__ is int:  # the hash of a number does not depend on its width
            value = Int64(value)
        return canonical_bytes(value)


BSON = BsonTree()
