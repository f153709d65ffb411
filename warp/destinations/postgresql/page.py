"""What fits into one row: PostgreSQL keeps a row on one page of 8 kB, and refuses it (54000) where it does not fit.

Long values are moved out of the row, and leave a pointer in it; those of 24 bytes or less stay, and numbers, dates and
the like always do (manual, "TOAST"). Hence some hundred short texts, or a thousand numbers, are too much for one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from warp.destinations.postgresql.types import NULL
from warp.evolution.shape import Shape
from warp.values import Kind

ROW_BYTES = 7_800
"""For a document's columns: a page has 8,160 for one row, less its header and the columns of our own."""
_MOST_IN_ROW = 24
"""Of a value that can be moved out of the row."""
_NUMBER = 8
_MOST_PADDING = 7
"""Bytes before a number, which begins at a multiple of eight."""
_NUMBERS = frozenset({Kind.INT, Kind.DOUBLE, Kind.TIMESTAMP})
_FIXED = {Kind.BOOL: 1, Kind.UUID: 16}


class Page:
    """Finds the values of a row for which there is no room in it."""

    def __init__(self, shape: Shape) -> None:
        self._kinds = [column.kind for column in shape.columns.values()]

    @property
    def always_fits(self) -> bool:
        """Whether no row of this shape can be too wide."""
        most = {kind: _FIXED.get(kind, _MOST_IN_ROW) for kind in Kind} | dict.fromkeys(
            _NUMBERS, _NUMBER + _MOST_PADDING
        )
        return sum(most[kind] for kind in self._kinds) <= ROW_BYTES

    def overflow(self, cells: Sequence[str]) -> Iterator[int]:
        """The indices of the cells that do not fit, of cells of COPY text in the order of the columns.

        In that order each takes its room, as long as there is enough.
        """
        room = ROW_BYTES
        aligned = False
        for index, (kind, cell) in enumerate(zip(self._kinds, cells, strict=True)):
            if cell == NULL:
                continue
            if kind in _NUMBERS:
                size = _NUMBER if aligned else _NUMBER + _MOST_PADDING
            else:
                size = _FIXED.get(kind) or _in_row(kind, cell)
            if size > room:
                yield index
                continue
            room -= size
            aligned = kind in _NUMBERS


def _in_row(kind: Kind, cell: str) -> int:
    """The bytes of a value whose length varies, with the one that says how long it is."""
    if kind in (Kind.STRING, Kind.OBJECT_ID, Kind.TEXT) and len(cell) < _MOST_IN_ROW:
        return min(_MOST_IN_ROW, len(cell.encode()) + 1)
    return _MOST_IN_ROW
