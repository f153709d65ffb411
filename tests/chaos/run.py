"""One run: a workload, the fleet, a fault every few seconds, and the verdict at the end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import verdict
from tests.chaos.drawing import Drawn, draw
from tests.chaos.faults.fault import Fault
from tests.chaos.log import Entry
from tests.chaos.order import Order
from tests.chaos.probe import Probe
from tests.chaos.rig import SCHEMAS, SOFT, Rig
from tests.chaos.sampler import Sampled, Sampler
from tests.chaos.workload import Workload

_GIVE_UP_SECONDS = 60.0
"""How long to wait for the mirror to be itself again, whatever the limit is: by how much it was missed is of interest.
"""
_PRELOADED = 200
_MEMBERS = 3
_MOST_VIOLATIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is made of: faults and changes follow from the seed and the kinds of faults."""

    seed: int
    faults: Collection[Fault]
    seconds: float
    """Of faults; start and end come on top."""
    changes_per_second: float = 600.0


@dataclass
class Outcome:
    """What a run came to."""

    log: list[Entry] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Why it did not pass, if it did not."""
    facts: dict[str, float] = field(default_factory=dict)
    """What was done and looked at, in numbers."""

    def add(self, entry: Entry) -> None:
        """A fault is over, and the wait for recovery from it."""
        self.log.append(entry)
        if entry.failure is not None:
            self.failures.append(entry.failure)


class Run:
    """Carries out one run. Logs of the processes go into `directory`, lines about the progress to `say`."""

    def __init__(self, options: Options, directory: Path, say: Callable[[str], object]) -> None:
        self._options = options
        self._directory = directory
        self._say = say
        self._outcome = Outcome()

    def __call__(self) -> Outcome:
        """Start everything, let faults come, end everything. What cannot be started is raised."""
        options = self._options
        members = _MEMBERS if any(fault.replica_set for fault in options.faults) else 1
        with (
            Rig(self._directory, members=members) as rig,
            Workload(
                rig.endpoints.mongo_uri, SCHEMAS, seed=options.seed, changes_per_second=options.changes_per_second
            ) as workload,
        ):
            workload.preload(_PRELOADED)
            with Sampler(rig.dsn, _sampled(workload), Order(workload.record.ended)) as sampler:
                rig.start()
                workload.start()
                probe = Probe(workload, rig.dsn, rig.pause)
                self._faults(rig, workload, sampler, probe)
                self._end(rig, workload, sampler)
        return self._outcome

    def _faults(self, rig: Rig, workload: Workload, sampler: Sampler, probe: Probe) -> None:
        loaded = probe.seconds(_GIVE_UP_SECONDS)
        if loaded is None:
            self._outcome.failures.append("the first load did not end in time")
            return
        self._say(f"loaded after {loaded:.1f} s")
        began = time.monotonic()
        for drawn in draw(self._options.seed, self._options.faults):
            rig.pause(drawn.lull)
            at = time.monotonic() - began
            if at >= self._options.seconds:
                return
            self._inject(drawn, at, rig, probe)
            self._outcome.failures += self._broken(rig, workload, sampler)
            if self._outcome.failures:
                return

    def _inject(self, drawn: Drawn, at: float, rig: Rig, probe: Probe) -> None:
        started = time.monotonic()
        try:
            target = drawn.fault.inject(rig, **drawn.parameters)
        except Exception as error:
            self._outcome.failures.append(f"fault {drawn.number}, {drawn}: {type(error).__name__}: {error}")
            return
        lasted = time.monotonic() - started
        entry = Entry(drawn, at, target, lasted, probe.seconds(_GIVE_UP_SECONDS))
        self._outcome.add(entry)
        self._say(str(entry))

    def _broken(self, rig: Rig, workload: Workload, sampler: Sampler) -> list[str]:
        found = rig.ended_by_themselves()
        found += [f"order: {violation}" for violation in sampler.order.violations[:_MOST_VIOLATIONS]]
        for part in (workload, sampler):
            if part.failure is not None:
                found += [f"the harness's {type(part).__name__}:", *traceback.format_exception(part.failure)]
        return found

    def _end(self, rig: Rig, workload: Workload, sampler: Sampler) -> None:
        workload.stop()
        order, facts, failures = sampler.order, self._outcome.facts, self._outcome.failures
        try:
            facts["seconds to catch up at the end"] = round(verdict.catch_up(rig), 1)
        except AssertionError as error:
            failures.append(f"at the end: {error}")
        facts["documents compared"], found = verdict.differences(rig)
        found += [*self._broken(rig, workload, sampler), *verdict.end(rig)]
        failures += [text for text in found if text not in failures]
        facts["starts while a server was away"] = rig.restarts
        facts["changes"] = workload.changes
        facts |= {f"of them {kind}": count for kind, count in workload.counts.most_common()}
        facts |= {"faults": len(self._outcome.log), "looks at tables": order.looks, "rows seen": order.rows}
        facts |= {"documents seen to go": order.gone, "and to come back": order.back}


def _sampled(workload: Workload) -> list[Sampled]:
    names = [(share.collection.database.name, share.collection.name) for share in workload.shares]
    return [Sampled(schema, table, soft=schema == SOFT, often=table == "hot") for schema, table in names]
