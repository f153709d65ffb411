"""Which tables are mirrored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from warp.filters.patterns import name_matches


@dataclass(frozen=True, slots=True)
class TablePatterns:
    """What one level of the configuration says. Without an `include`, all tables are included."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)


def passes(levels: Iterable[TablePatterns], table: str) -> bool:
    """Whether every level includes a table, and none excludes it."""
    return all(
        (not level.include or any(name_matches(pattern, table) for pattern in level.include))
        and not any(name_matches(pattern, table) for pattern in level.exclude)
        for level in levels
    )
