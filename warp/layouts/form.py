"""What is done to each document before it becomes a record: the table's filter, then its layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from warp.evolution.rules import Layout
from warp.filters import FieldFilter, Tree
from warp.layouts.flatten import Flatten
from warp.layouts.whole import Whole


class Form(Protocol):
    """A form of documents. Whatever writes a document, or compares it with its row, gives it this form first."""

    def apply(self, document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
        """The document in this form, its key as it is. `tree` takes the source's values apart."""


@dataclass(frozen=True, slots=True)
class _Both:
    first: Form
    then: Form

    def apply(self, document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
        return self.then.apply(self.first.apply(document, tree), tree)


@lru_cache(maxsize=1024)
def form_of(fields: FieldFilter | None, layout: Layout, flatten_depth: int) -> Form | None:
    """The form of a table's documents; None: as they are."""
    laid_out = _of_layout(layout, flatten_depth)
    return _Both(fields, laid_out) if fields and laid_out else fields or laid_out


def _of_layout(layout: Layout, flatten_depth: int) -> Form | None:
    match layout:
        case Layout.COLUMNS:
            return Flatten(flatten_depth) if flatten_depth else None
        case Layout.DOCUMENT | Layout.HISTORY:
            return Whole()
