"""Which entries of a log apply at a position, and what they come to. Pure: the rules of the protocol, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from warp.change import Change, Key, Operation
from warp.transport.base import StoredEntry


@dataclass(slots=True)
class Sequence:
    """The entries of a log as one partition's marker sees them."""

    position: str
    """Where the marker will stand."""
    apply: list[tuple[StoredEntry, str]] = field(default_factory=list)
    """Each with the position after which its changes are new: two tailers' entries may overlap."""
    read: list[StoredEntry] = field(default_factory=list)
    """All entries that are done with once the step has committed: applied, old, or useless."""
    gaps: set[str] = field(default_factory=set)
    """Epochs that left a gap, and have not filled it in what was read."""


def sequence(position: str, partitions: int, stored: Iterable[StoredEntry]) -> Sequence:
    """Sort entries by what a marker at `position` makes of them; `partitions` is what the table has now.

    An entry that is old says nothing new. One that begins at or before the position applies from the position on. One
    that begins after it shows a gap: useless until what is missing has been sent, and then all of it will be. One that
    was routed by another number of partitions speaks of other documents.
    """
    result = Sequence(position)
    for item in stored:
        entry = item.entry
        result.read.append(item)
        if entry.partition.of != partitions or entry.last <= result.position:
            continue
        if entry.prev > result.position:
            result.gaps.add(entry.epoch)
            continue
        result.apply.append((item, result.position))
        result.position = entry.last
        result.gaps.discard(entry.epoch)
    return result


@dataclass(slots=True)
class Coalesced:
    """The last change of each document, by what has to be done for it."""

    whole: list[Change] = field(default_factory=list)
    """The change carries the document."""
    lookups: list[Change] = field(default_factory=list)
    """The document must be looked up at the source."""
    deletes: list[Change] = field(default_factory=list)

    def __iter__(self) -> Iterator[Change]:
        return chain(self.whole, self.lookups, self.deletes)


def coalesce(changes: Iterable[Change]) -> Coalesced:
    """Only the last state of each document counts: what came before it in the same step is never written."""
    latest: dict[Key, Change] = {}
    for change in changes:
        latest[change.key] = change
    result = Coalesced()
    for change in latest.values():
        if change.operation is Operation.DELETE:
            result.deletes.append(change)
        elif change.record is None:
            result.lookups.append(change)
        else:
            result.whole.append(change)
    return result
