"""Writing and deleting documents through a transaction, poison set apart: everything else of the batch goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from warp.destinations.base import Written, merged
from warp.errors import Poison

State = TypeVar("State")


def write_all(
    put: Callable[[Sequence[State]], Written], states: Sequence[State]
) -> tuple[Written, list[tuple[State, Poison]]]:
    """Put all states of documents; those that can never be had come back with the reason.

    A batch is bisected: one of them among n costs up to 2·log₂(n) further attempts, rounded up.
    """
    try:
        return put(states), []
    except Poison as poison:
        if len(states) == 1:
            return Written(), [(states[0], poison)]
    middle = len(states) // 2
    left, left_poison = write_all(put, states[:middle])
    right, right_poison = write_all(put, states[middle:])
    return merged([left, right]), left_poison + right_poison
