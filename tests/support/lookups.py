"""What a lookup found, put together: tests look up little."""

from __future__ import annotations

from collections.abc import Iterable

from warp.change import Key, Record
from warp.sources.base import AsOf


def found(pieces: Iterable[AsOf]) -> tuple[int, dict[Key, Record]]:
    """The one time of all pieces (0 where there is none), and all their documents by key."""
    ts, documents = 0, {}
    for ts, some in pieces:  # noqa: B007 - all pieces are as of one time
        documents.update(dict(some))
    return ts, documents
