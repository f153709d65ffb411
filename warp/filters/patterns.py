"""Names with wildcards, as Python's `fnmatch` has them: `*`, `?`, `[seq]`, `[!seq]`; capitals count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from fnmatch import translate
from functools import lru_cache

SEPARATOR = "."


class Fit(Enum):
    """How a pattern stands to a path."""

    NO = "no"
    WHOLE = "whole"
    """It matches the path, or something above it."""
    INSIDE = "inside"
    """It can match only what lies inside of the path."""


class PathPattern:
    """A pattern of dotted paths: each part between dots matches one name, so that `*` does not cross a dot."""

    __slots__ = ("_parts",)

    def __init__(self, pattern: str) -> None:
        self._parts = [_compiled(part) for part in pattern.split(SEPARATOR)]

    def fit(self, path: Sequence[str]) -> Fit:
        """How the pattern stands to the names of a path."""
        if not all(part.match(name) for part, name in zip(self._parts, path, strict=False)):
            return Fit.NO
        return Fit.WHOLE if len(self._parts) <= len(path) else Fit.INSIDE


def name_matches(pattern: str, name: str) -> bool:
    """Whether a whole name matches; here `*` crosses dots too."""
    return _compiled(pattern).match(name) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
