"""How long to wait before another attempt."""

import random
from itertools import islice

from warp.retry import FIRST_SECONDS, LONGEST_SECONDS, backoff


def test_waits_double_up_to_the_longest_with_jitter() -> None:
    longest = FIRST_SECONDS
    for wait in islice(backoff(random.Random(1)), 12):
        assert longest / 2 <= wait <= longest
        longest = min(LONGEST_SECONDS, longest * 2)
    assert longest == LONGEST_SECONDS


def test_two_that_failed_together_do_not_come_back_together() -> None:
    assert list(islice(backoff(), 4)) != list(islice(backoff(), 4))
