"""Writing documents through a transaction, poison set apart: everything else of the batch goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warp.change import Write
from warp.destinations.base import Written, merged
from warp.errors import Poison

Put = Callable[[Sequence[Write]], Written]


def write_all(put: Put, writes: Sequence[Write]) -> tuple[Written, list[tuple[Write, Poison]]]:
    """Put all writes; those that can never be stored come back with the reason.

    A batch with one of them is bisected: it costs log₂(n) further attempts.
    """
    try:
        return put(writes), []
    except Poison as poison:
        if len(writes) == 1:
            return Written(), [(writes[0], poison)]
    middle = len(writes) // 2
    left, left_poison = write_all(put, writes[:middle])
    right, right_poison = write_all(put, writes[middle:])
    return merged([left, right]), left_poison + right_poison
