"""What `plan` and `run --dry-run` say in the same words."""

from __future__ import annotations

from collections.abc import Sequence

from warp.errors import WarpError

REASONS = {
    "null": "null, which a column cannot tell from a missing field",
    "does_not_fit": "not of its column's type",
    "text": "no string, and its column is text",
    "dead_letter": "would make dead letters, by evolution.conflict",
    "no_column": "the table has as many columns as max_columns allows",
    "row_too_wide": "more than fits into one row of PostgreSQL",
    "not_json": "not exact as jsonb",
    "bson_type": "of a type without a column",
    "binary_subtype": "binary of a subtype of its own",
    "decimal_special": "a decimal that numeric does not have",
    "repeated_field": "the field stands in its document more than once",
}
"""Why a value is kept in `_extra`."""


def size(number: float) -> str:
    """So many bytes, in the largest unit of which there is one."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def require_nothing_in_the_way(problems: Sequence[str]) -> None:
    """Raises WarpError, with all of them, where there are any."""
    if problems:
        lines = [f"  {problem}" for problem in problems]
        raise WarpError("\n".join(["this stands in the way of `cartridge-warp run`:", *lines]))
