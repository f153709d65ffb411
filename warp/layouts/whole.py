"""Documents whole: one field `doc` that holds all of a document but its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warp.evolution.rules import DOCUMENT_FIELD
from warp.filters import KEY_FIELD, Tree


class Whole:
    """See `warp.layouts.Form`. A field that stands in its document more than once keeps all of its values."""

    def apply(self, document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
        fields = tree.object_of((name, value) for name, value in document.items() if name != KEY_FIELD)
        key = {KEY_FIELD: document[KEY_FIELD]} if KEY_FIELD in document else {}
        return {**key, DOCUMENT_FIELD: fields}
