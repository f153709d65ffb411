"""Comparing every document of both sides, in bounded memory, over the contracts of source and destination alone.

`walk` reads both sides once and finds suspects, `settle` looks at those again until it is clear what they are, and
`result` is what is said about a table. A document in flight is not a difference; no value is ever shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from warp.destinations.base import Destination
from warp.layouts import Form
from warp.sources.base import Source
from warp.verify.result import Example, TableResult, Verdict
from warp.verify.settle import settle_suspects
from warp.verify.walk import MOST_SUSPECTS, find_suspects

__all__ = ["MOST_SUSPECTS", "Example", "TableResult", "Verdict", "verify_schema"]


def verify_schema(
    source: Source,
    destination: Destination,
    schema: str,
    *,
    patience: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = time.sleep,
    progress: Callable[[str, int], None] | None = None,
    fields: Callable[[str], Form | None] = lambda _: None,
    mirrors: Callable[[str], bool] = lambda _: True,
) -> list[TableResult]:
    """Compare all tables of a schema, in order of name; tables that only the target has are among them.

    What is not equal at first is looked at again for up to `patience` seconds (see `warp.verify.settle` for the rule).
    `clock` is in seconds, only ever growing; `wait` waits so many seconds; `progress` is told a table and how many of
    its documents have been compared; `fields` is the form of a table, whose rows must be what it makes of documents,
    and `mirrors` says which tables are not excluded. Raises what source and destination raise.
    """
    tallies = find_suspects(source, destination, schema, progress or (lambda _table, _documents: None), fields, mirrors)
    settle_suspects(source, destination, schema, tallies, patience=patience, clock=clock, wait=wait, fields=fields)
    return [tally.result() for tally in tallies]
