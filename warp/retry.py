"""The retry policy: what is done about each class of error, in one table, and how long to wait before another attempt.

Which of a driver's errors belong to which class is said where the driver is called: `errors.py` of each source and
destination, `warp.transport.client`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from warp.errors import (
    ConfigurationError,
    Fatal,
    Poison,
    Refused,
    ServerUnreachable,
    StreamInvalid,
    StreamLost,
    Transient,
    WarpError,
)

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0
MENDED_SECONDS = 10.0
"""How often it is tried whether a person has mended what only a person can mend."""


class Response(Enum):
    """What is done. Nothing is given up by any of them: the log keeps its entries."""

    WAIT = "tried again for ever, with growing pauses; the log keeps its entries"
    ISOLATE = "the batch is halved until the change is found: it becomes a dead letter, everything else goes on"
    BLOCK = f"this table stops, and says what to do; it is tried again every {MENDED_SECONDS:.0f} s, the others go on"
    HOLD = f"whatever needs it stands still, and says what to do; it is tried again every {MENDED_SECONDS:.0f} s"
    REOPEN = "the stream is opened again where it stood: at the position, or else at its cluster time"
    RELOAD = "every table of the schema is read again, and rows without a document are swept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One row of the table. `examples` and `to_do` are for people: docs/errors.md shows them."""

    error: type[WarpError]
    response: Response
    examples: str
    to_do: str


POLICIES = (
    Policy(
        error=Transient,
        response=Response.WAIT,
        examples="serialization failure, deadlock, lock or statement time-out, read-only after a failover, "
        "no space left, too many connections, snapshot too old, Redis out of memory or still loading",
        to_do="nothing, unless it lasts: then what its remedy says",
    ),
    Policy(
        error=ServerUnreachable,
        response=Response.WAIT,
        examples="connection refused or cut, server shutting down, no primary, network time-out",
        to_do="bring the server back",
    ),
    Policy(
        error=Poison,
        response=Response.ISOLATE,
        examples="a key too long for an index, a constraint that was added by hand",
        to_do="mend what refuses it, then `cartridge-warp dlq replay`, or `discard`",
    ),
    Policy(
        error=Fatal,
        response=Response.BLOCK,
        examples="missing privilege, table or column dropped, renamed or retyped by hand",
        to_do="what `cartridge-warp status` says: undo what was done by hand, grant what is missing",
    ),
    Policy(
        error=Refused,
        response=Response.HOLD,
        examples="wrong password, no such user or database",
        to_do="correct the user or its password at the server, or the connection string",
    ),
    Policy(
        error=ConfigurationError,
        response=Response.HOLD,
        examples="work for a schema that this process's configuration does not have",
        to_do="give every process the same configuration",
    ),
    Policy(
        error=StreamInvalid,
        response=Response.REOPEN,
        examples="cursor gone, position refused (280), stream ended by dropDatabase",
        to_do="nothing",
    ),
    Policy(
        error=StreamLost,
        response=Response.RELOAD,
        examples="the oplog no longer has what follows the position (286)",
        to_do="a larger oplog (replSetResizeOplog), so that it does not happen again",
    ),
)
_RESPONSES = {policy.error: policy.response for policy in POLICIES}
PASSING = tuple(policy.error for policy in POLICIES if policy.response is Response.WAIT)
"""The classes of errors that pass, for an `except`."""


def response(error: WarpError) -> Response:
    """What is done about an error: what the table says of its class, or of the nearest class above."""
    return next((_RESPONSES[kind] for kind in type(error).__mro__ if kind in _RESPONSES), Response.HOLD)


def stops_table(error: WarpError) -> bool:
    """Whether it concerns one table alone, where no document could be told to be the cause."""
    return response(error) in (Response.BLOCK, Response.ISOLATE)


def backoff(rng: random.Random | None = None) -> Iterator[float]:
    """Seconds to wait before the first, second, … further attempt: doubling up to LONGEST_SECONDS, with jitter.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    draw = rng or random.Random()
    longest = FIRST_SECONDS
    while True:
        yield draw.uniform(longest / 2, longest)
        longest = min(LONGEST_SECONDS, longest * 2)
