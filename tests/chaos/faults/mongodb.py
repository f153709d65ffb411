"""MongoDB's primary, in a replica set of several members: it steps down, or dies and comes back."""

from __future__ import annotations

from tests.chaos.faults.fault import Fault, seconds
from tests.chaos.rig import Rig
from tests.support.wait import eventually

_DOWN_SECONDS = 10
"""For so long a member that stepped down does not stand for election."""


def _step_down(rig: Rig) -> str:
    members = rig.servers.mongodb
    before = _primary(rig)
    members.step_down(_DOWN_SECONDS)
    return f"member {before}, then {_primary(rig)}"


def _kill(rig: Rig, away: float) -> str:
    members = rig.servers.mongodb
    before = _primary(rig)
    members.kill(before)
    rig.pause(away)
    members.restart(before)
    return f"member {before}, then {_primary(rig)}"


def _primary(rig: Rig) -> int:
    [primary] = eventually(
        lambda: [number for number in [rig.servers.mongodb.primary()] if number is not None], what="a primary"
    )
    return primary


FAULTS = (
    Fault("mongodb-step-down", _step_down, {}, replica_set=True),
    Fault("mongodb-kill", _kill, {"away": seconds(0, 5)}, replica_set=True),
)
