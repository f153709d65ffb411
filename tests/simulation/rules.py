"""The rules of the protocol that can be left out, one at a time: what a run would be without each.

Some rules are not here, because what another one does about it hides that they are missing; they save work, or time:

- An overlapping entry applies from the position on (`workers.sequence`). An entry leaves nothing out, so that its last
  change of a document is never older than what is applied of it: the row's guard holds all the same. Only changes would
  be counted twice.
- Entries are removed from the log after COMMIT (`Applier.step`). What is gone from a log and not applied is sent again.
- A load writes nothing from before the floor (`load`). A table that was dropped or replaced has other chunks since, or
  none, which the lock of each piece sees; and its new chunks are read after the floor (`begins_at`).
- A load loses against a row of its own time (`load`). A row is read as of exactly its time: at a tie both are the same
  state, or one within a source's transaction, whose last change is still to come or was applied.
- A second look at the log after the lease was given back (`Drain`). The reconcile loop finds a log without a lease.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.simulation.left_out import rows, stream, tables
from tests.simulation.weather import Weather, forecast


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule, and the weather that is most likely to need it."""

    leave_out: Callable[[pytest.MonkeyPatch], None]
    kind: str = "any"
    weather: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the tests call it."""
        return self.leave_out.__name__

    def forecast(self, seed: int) -> Weather:
        """The weather of a run that is likely to need the rule."""
        return forecast(seed, self.kind, **self.weather)


_CALM = {"pauses": 0.0, "faults": 0.0, "redis": 0.0, "losses": 0.0, "upheavals": 0.0, "poison": 0.0}
RULES = (
    Rule(leave_out=stream.prev, weather={"redis": 0.08, "turns": 120}),
    Rule(leave_out=stream.of, kind="repartitioned", weather=_CALM),
    Rule(leave_out=stream.settle, kind="repartitioned", weather=_CALM),
    Rule(leave_out=stream.drained, kind="repartitioned"),
    Rule(leave_out=stream.checkpoint),
    Rule(leave_out=stream.resend, weather={"redis": 0.08}),
    Rule(leave_out=stream.revive),
    Rule(
        leave_out=stream.lock,
        weather={"pauses": 0.1, "faults": 0.0, "redis": 0.06, "poison": 0.0, "losses": 0.0, "turns": 160},
    ),
    Rule(leave_out=stream.blocked, kind="breakage"),
    Rule(leave_out=stream.high_water_mark, weather={"outages": 0.0, "pauses": 0.1, "turns": 160}),
    Rule(
        leave_out=stream.kept_back, kind="upheavals", weather={**_CALM, "upheavals": 0.3, "breakage": 0.1, "turns": 160}
    ),
    Rule(
        leave_out=stream.events_first,
        kind="upheavals",
        weather={**_CALM, "upheavals": 0.3, "updates": False, "turns": 160},
    ),
    Rule(leave_out=rows.guard),
    Rule(leave_out=rows.tombstone, kind="loads", weather={"pauses": 0.0, "faults": 0.0}),
    Rule(leave_out=rows.delete_guard),
    Rule(leave_out=rows.supersede, kind="letters"),
    Rule(leave_out=rows.last_letter, kind="letters", weather={"turns": 160}),
    Rule(leave_out=rows.floor, kind="upheavals"),
    Rule(
        leave_out=rows.replay_after,
        kind="loads",
        weather={"poison": 0.3, "behind": 0.9, "losses": 0.03, "upheavals": 0.0, "turns": 100},
    ),
    Rule(leave_out=tables.sweep, kind="losses"),
    Rule(leave_out=tables.passed, kind="upheavals", weather={"losses": 0.02, "breakage": 0.0, "turns": 160}),
    Rule(leave_out=tables.checkpoint_last, kind="losses"),
    Rule(leave_out=tables.chunk_lock, kind="loads", weather={"redis": 0.1, "pauses": 0.0, "faults": 0.0, "turns": 160}),
    Rule(leave_out=tables.lookup_after, kind="calm", weather={"updates": True, "behind": 0.5}),
    Rule(leave_out=tables.read_after, kind="loads", weather={"behind": 0.5}),
    Rule(leave_out=tables.begins_at, kind="losses", weather={"behind": 0.7, "losses": 0.05}),
    Rule(leave_out=tables.time_of_the_state, kind="loads", weather={"behind": 0.5}),
)
