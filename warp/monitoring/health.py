"""Whether everything that mirroring takes is there and gets on: each server, each schema, and no table is blocked.

Checks may take as long as a time-out of a driver. `Watch` keeps that from piling up behind a health endpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from warp.config import Config, redact_text
from warp.connections import Connections
from warp.errors import WarpError
from warp.monitoring.status import SchemaStatus
from warp.monitoring.survey import read_status
from warp.transport.client import translated

CHECKPOINT_SECONDS = 30.0
"""A schema is attended to while its checkpoint was saved within this time."""
FRESH_SECONDS = 1.0
"""A report this young is given again."""
STALE_SECONDS = 5.0
"""A report older than this says nothing any more."""


_TAILER = "start its tailer: cartridge-warp tailer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must be so; `reason` says why it is not, `remedy` what to do, without credentials."""

    name: str
    reason: str | None = None
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it is so."""
        return self.reason is None

    def to_json(self) -> dict[str, Any]:
        """As `/readyz` shows it."""
        said = {"name": self.name, "ok": self.ok}
        about = {"reason": self.reason, "remedy": self.remedy}
        return said | {key: value for key, value in about.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks, and the status they were made from; without PostgreSQL there is none."""

    checks: tuple[Check, ...]
    schemas: tuple[SchemaStatus, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As `/readyz` shows it."""
        return {"ready": self.ready, "checks": [check.to_json() for check in self.checks]}


def examine(config: Config, connections: Connections) -> Report:
    """Ask every server, and look at every schema that has a stream. Raises nothing for what is not as it should be."""

    def ping_redis() -> None:
        with translated(connections.redis_address):
            connections.redis.ping()

    destination = _check(config.destination.type, connections.destination.require_migrated)
    checks = [_check(config.source.type, connections.source.now), destination, _check("redis", ping_redis)]
    schemas: tuple[SchemaStatus, ...] = ()
    if destination.ok:
        try:
            schemas = read_status(config, connections, None)
        except WarpError as error:
            checks.append(Check(name="status", reason=redact_text(str(error))))
    return Report(checks=(*checks, *(check for schema in schemas for check in checks_of(schema))), schemas=schemas)


def _check(name: str, ask: Callable[[], object]) -> Check:
    try:
        ask()
    except WarpError as error:
        return Check(name=name, reason=redact_text(str(error)), remedy=error.remedy)
    return Check(name=name)


def checks_of(schema: SchemaStatus) -> Iterator[Check]:
    """What must be so of a schema. A table is only named where it is blocked, the oplog where it is short."""
    name = f"schema {schema.name}"
    age = schema.checkpoint_age_seconds
    if age is None:
        yield Check(name=name, reason="its stream has never been opened", remedy=f"{_TAILER} --schema {schema.name}")
    elif schema.stalled is not None:
        yield Check(name=name, reason=schema.stalled.reason, remedy=schema.stalled.remedy)
    elif age > CHECKPOINT_SECONDS:
        reason = f"its checkpoint was last saved {age:.0f} seconds ago"
        yield Check(name=name, reason=reason, remedy=f"{_TAILER} --schema {schema.name}")
    else:
        yield Check(name=name)
    if schema.headroom_short is not None:
        yield Check(
            name=f"oplog for {schema.name}", reason=schema.headroom_short.reason, remedy=schema.headroom_short.remedy
        )
    for table in schema.tables:
        if table.blocked is not None:
            yield Check(
                name=f"table {schema.name}.{table.name}", reason=table.blocked.reason, remedy=table.blocked.remedy
            )


class Watch:
    """The latest report, for any number of threads: one of them makes it, the others do not wait for that."""

    def __init__(self, make: Callable[[], Report], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`make` is called by one thread at a time; `clock` in seconds, only ever growing."""
        self._make = make
        self._clock = clock
        self._making = threading.Lock()
        self._latest: tuple[float, Report] | None = None

    def report(self) -> Report | None:
        """A report not older than STALE_SECONDS; None while another thread's attempt at one takes longer than that."""
        report = self._not_older_than(FRESH_SECONDS)
        if report is None and self._making.acquire(blocking=False):
            try:
                began = self._clock()
                report = self._make()
                self._latest = began, report
            finally:
                self._making.release()
        return report or self._not_older_than(STALE_SECONDS)

    def _not_older_than(self, seconds: float) -> Report | None:
        latest = self._latest
        return latest[1] if latest and self._clock() - latest[0] <= seconds else None
