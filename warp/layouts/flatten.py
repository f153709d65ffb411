"""Objects as columns of their own: `{a: {b: 1}}` becomes a field `b` inside of `a`, down to some depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warp.change import PATH
from warp.filters import KEY_FIELD, Tree


@dataclass(frozen=True, slots=True)
class Flatten:
    """See `warp.layouts.Form`. What is no object stays whole, and so does an empty object, which would leave nothing,
    and one in which a name stands twice."""

    depth: int
    """How many levels of objects are taken apart: 1 makes `a_b` of `{a: {b: …}}`, whatever lies in `b`."""

    def apply(self, document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in document.items():
            _put(flat, name, value, 0 if name == KEY_FIELD else self.depth, tree)
        return flat


def _put(flat: dict[str, Any], name: str, value: Any, depth: int, tree: Tree) -> None:
    pairs = tree.pairs(value) if depth else None
    fields = dict(pairs) if pairs else {}
    if pairs and len(fields) == len(pairs):
        for inner, item in fields.items():
            _put(flat, f"{name}{PATH}{inner}", item, depth - 1, tree)
    else:
        flat[name] = value
