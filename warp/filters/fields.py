"""Leaving out fields of documents, and masking the values of others, before anything of them is written.

The levels of the configuration add up: a field must pass the `include` of every level that has one, and none may
exclude it. Of several masks of one field the nearest level's counts. So no level reveals what another one hides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from warp.filters.patterns import SEPARATOR, Fit, PathPattern

REDACTED = "redacted"
"""What stands for a value that is masked by `redact`."""
KEY_FIELD = "_id"
"""The key of a document, which no filter touches. Fields of that name inside of others are fields like any other."""
MOST_REMEMBERED = 10_000
"""Paths whose decision is kept, so that documents with ever new names do not grow a process."""


class Mask(StrEnum):
    """What stands for a value."""

    HASH = "hash"
    """Its SHA-256 with the salt before it, in hexadecimal; null stays null."""
    NULL = "null"
    REDACT = "redact"


@dataclass(frozen=True, slots=True)
class FieldPatterns:
    """What one level of the configuration says, in patterns of dotted paths. Without an `include`, all are included."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    mask: tuple[tuple[str, Mask], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude or self.mask)


class Tree(Protocol):
    """How a source's own values are taken apart and put together."""

    def pairs(self, value: Any) -> Collection[tuple[str, Any]] | None:
        """The names and values of an object; None for anything else."""

    def object_of(self, pairs: Iterable[tuple[str, Any]]) -> Any:
        """An object of these names and values."""

    def items(self, value: Any) -> Sequence[Any] | None:
        """The elements of an array, or of whatever holds several values; None for anything else."""

    def with_items(self, value: Any, items: Sequence[Any]) -> Any:
        """The like of an array with other elements."""

    def exact(self, value: Any) -> bytes:
        """Bytes that stand for this value alone: the UTF-8 of a string, canonical JSON of anything else."""


class _Decision(NamedTuple):
    """What becomes of the field at a path."""

    kept: bool
    """A value that is no object is kept."""
    mask: Mask | None = None
    inside: bool = False
    """Something inside of it may have to be left out or masked."""


_OUT = _Decision(False)
_GONE = object()


class FieldFilter:
    """What several levels together say about the fields of one table's documents."""

    def __init__(self, levels: Sequence[FieldPatterns], salt: str) -> None:
        """`levels`, the nearest first; `salt` is for `hash`."""
        self._include = [[PathPattern(pattern) for pattern in level.include] for level in levels if level.include]
        self._exclude = [PathPattern(pattern) for level in levels for pattern in level.exclude]
        self._mask = [(PathPattern(pattern), mask) for level in levels for pattern, mask in level.mask]
        self._salt = salt.encode()
        self._decisions: dict[tuple[tuple[str, ...], str], _Decision] = {}

    def apply(self, document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
        """The document as it may be written. Its key is left as it is."""
        return dict(self._fields(document.items(), (), tree))

    def _fields(self, pairs: Iterable[tuple[str, Any]], path: tuple[str, ...], tree: Tree) -> Iterator[tuple[str, Any]]:
        for name, value in pairs:
            if name == KEY_FIELD and not path:
                yield name, value
                continue
            decision = self._decision(path, name)
            if decision.mask is not None:
                yield name, self._masked(value, decision.mask, tree)
            elif decision.inside:
                inner = self._inside(value, (*path, *name.split(SEPARATOR)), decision.kept, tree)
                if inner is not _GONE:
                    yield name, inner
            elif decision.kept:
                yield name, value

    def _inside(self, value: Any, path: tuple[str, ...], kept: bool, tree: Tree) -> Any:
        """A value without what is left out inside of it; `kept`: where it is neither object nor array, it stays."""
        pairs = tree.pairs(value)
        if pairs is not None:
            return tree.object_of(self._fields(pairs, path, tree))
        items = tree.items(value)
        if items is None:
            return value if kept else _GONE
        inner = (self._inside(item, path, kept, tree) for item in items)
        return tree.with_items(value, [item for item in inner if item is not _GONE])

    def _masked(self, value: Any, mask: Mask, tree: Tree) -> Any:
        if mask is Mask.REDACT:
            return REDACTED
        if mask is Mask.NULL or value is None:
            return None
        return sha256(self._salt + tree.exact(value)).hexdigest()

    def _decision(self, path: tuple[str, ...], name: str) -> _Decision:
        decision = self._decisions.get((path, name))
        if decision is None:
            if len(self._decisions) >= MOST_REMEMBERED:
                self._decisions.clear()
            # A name may hold dots itself: to a pattern it is then the path that it looks like.
            decision = self._decisions[path, name] = self._decide((*path, *name.split(SEPARATOR)))
        return decision

    def _decide(self, path: tuple[str, ...]) -> _Decision:
        included = [{pattern.fit(path) for pattern in level} for level in self._include]
        excluded = {pattern.fit(path) for pattern in self._exclude}
        if Fit.WHOLE in excluded or any(fits == {Fit.NO} for fits in included):
            return _OUT
        masks = [(pattern.fit(path), mask) for pattern, mask in self._mask]
        for fit, mask in masks:
            if fit is Fit.WHOLE:
                return _Decision(True, mask)
        kept = all(Fit.WHOLE in fits for fits in included)
        inside = not kept or Fit.INSIDE in excluded or any(fit is Fit.INSIDE for fit, _ in masks)
        return _Decision(kept, None, inside)


@lru_cache(maxsize=1024)
def field_filter(levels: tuple[FieldPatterns, ...], salt: str) -> FieldFilter | None:
    """The filter of these levels, the nearest first; None where they say nothing. `salt` is for `hash`."""
    return FieldFilter(levels, salt) if any(levels) else None
