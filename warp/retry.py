"""How long to wait before another attempt. What each class of error means stands with the class, in `warp.errors`."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0


def backoff(rng: random.Random | None = None) -> Iterator[float]:
    """Seconds to wait before the first, second, … further attempt: doubling up to LONGEST_SECONDS, with full jitter.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    draw = rng or random.Random()
    longest = FIRST_SECONDS
    while True:
        yield draw.uniform(longest / 2, longest)
        longest = min(LONGEST_SECONDS, longest * 2)
