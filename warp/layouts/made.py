"""A table keeps the layout that it was made with: what the configuration says otherwise must not be mixed into it."""

from __future__ import annotations

from warp.errors import Fatal
from warp.evolution.rules import Layout, Rules
from warp.evolution.shape import Shape

_REMEDY = (
    "set it back; or have the table made anew: exclude: true for it, restart, drop it in PostgreSQL, take exclude "
    "back, restart (docs/layouts.md)"
)


def require_layout(shape: Shape, rules: Rules) -> None:
    """Raises Fatal where a table was made with another layout than the configuration says."""
    if not shape.is_laid_out_by(rules):
        made, said = _in_words(shape.layout, shape.flatten_depth), _in_words(rules.layout, rules.flatten_depth)
        raise Fatal(f"the table was made with {made}, and the configuration says {said}", remedy=_REMEDY)


def _in_words(layout: Layout, flatten_depth: int) -> str:
    depth = f", flatten_depth: {flatten_depth}" if layout is Layout.COLUMNS else ""
    return f"layout: {layout}{depth}"
