"""The retry policy: what is done about each class of error, and how long to wait before another attempt."""

import random
from itertools import islice
from pathlib import Path

import pytest

from warp import errors
from warp.errors import Fatal, Poison, Refused, ServerUnreachable, StreamInvalid, StreamLost, Transient, WarpError
from warp.retry import FIRST_SECONDS, LONGEST_SECONDS, POLICIES, Response, backoff, response

RENDERED = Path(__file__).parents[2] / "docs/errors.md"


@pytest.mark.parametrize(
    ("error", "done"),
    [
        (Transient("not now"), Response.WAIT),
        (ServerUnreachable("PostgreSQL", "somewhere", "refused"), Response.WAIT),
        (Poison("never"), Response.ISOLATE),
        (Fatal("no privilege"), Response.BLOCK),
        (Refused("wrong password"), Response.HOLD),
        (errors.ConfigurationError("unknown schema"), Response.HOLD),
        (StreamInvalid("cursor gone"), Response.REOPEN),
        (StreamLost("no history"), Response.RELOAD),
        (WarpError("something else"), Response.HOLD),
    ],
)
def test_each_class_of_error_has_its_response(error: WarpError, done: Response) -> None:
    assert response(error) is done


def test_the_documentation_shows_the_table() -> None:
    text = RENDERED.read_text()
    for policy in POLICIES:
        cells = (f"`{policy.error.__name__}`", policy.examples, policy.response.value, policy.to_do)
        assert f"| {' | '.join(cells)} |" in text
    assert text.count("\n| `") == len(POLICIES)


def test_waits_double_up_to_the_longest_with_jitter() -> None:
    longest = FIRST_SECONDS
    for wait in islice(backoff(random.Random(1)), 12):
        assert longest / 2 <= wait <= longest
        longest = min(LONGEST_SECONDS, longest * 2)
    assert longest == LONGEST_SECONDS


def test_two_that_failed_together_do_not_come_back_together() -> None:
    assert list(islice(backoff(), 4)) != list(islice(backoff(), 4))
