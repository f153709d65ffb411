"""The tailer's and the scheduler's process: their `tick` in a loop that outlives every outage."""

from __future__ import annotations

import time
from collections.abc import Callable

from scheduler.attempts import Attempts
from scheduler.backpressure import MEMORY_SHARE
from scheduler.lease import Lease
from scheduler.letters import Letters
from scheduler.reconcile import Reconcile
from scheduler.snapshots import Snapshots
from scheduler.stalled import Stalled
from scheduler.tailer import Tailer
from warp.config import Config
from warp.connections import Connections
from warp.errors import WarpError
from warp.monitoring.logging import get_logger
from warp.process import Collector, Stop
from warp.transport import keys

STANDBY_SECONDS = 1.0
SCHEDULER_SECONDS = 0.5


def make_tailer(config: Config, schema: str, connections: Connections, stop: Stop) -> Tailer:
    """A schema's tailer over real connections; it waits until `stop`."""
    return Tailer(
        schema,
        connections.source,
        connections.destination,
        connections.logs,
        connections.wakeups,
        settings=lambda table: config.table(schema, table),
        mirrors=config.table_filter(schema),
        high_water_mark=config.log_high_water_mark,
        share=MEMORY_SHARE / len(config.stream_schemas()),
        clock=time.monotonic,
        wait=stop.wait,
    )


def run_tailer(config: Config, schema: str, connections: Connections, stop: Stop) -> None:
    """Serve a schema, or stand by for the tailer that does, until told to stop."""
    lease = Lease(connections.redis, connections.redis_address, keys.tailer_lease(schema), clock=time.monotonic)
    tailer = make_tailer(config, schema, connections, stop)
    log = get_logger(__name__).bind(schema=schema)
    leads: bool | None = None

    def tick() -> None:
        nonlocal leads
        before, leads = leads, lease.hold()
        if leads is not before:
            log.info("leads" if leads else "stands by")
        if leads:
            tailer.tick()
        else:
            tailer.close()
            stop.wait(STANDBY_SECONDS)

    attempt = Attempts(schema, tick, connections.destination.metadata, on_error=tailer.close)
    collector = Collector()
    while not stop.is_set():
        collector.rest()
        stop.wait(attempt())
    try:
        tailer.finish()
        lease.release()
    except WarpError as error:
        get_logger(__name__).info("stopped without saving the checkpoint once more", reason=str(error))


def run_scheduler(config: Config, only: str | None, connections: Connections, stop: Stop) -> None:
    """Keep first loads going, logs attended and dead letters shown until told to stop.

    What ails one schema does not hold up the others.
    """
    metadata, logs, wakeups = connections.destination.metadata, connections.logs, connections.wakeups

    def rounds(schema: str) -> Callable[[], None]:
        def soft(table: str) -> bool:
            return config.table(schema, table).deletion_strategy == "soft"

        snapshots = Snapshots(schema, connections.source, connections.destination, wakeups, soft=soft)
        reconcile = Reconcile(schema, metadata, logs, wakeups)
        letters = Letters(schema, metadata, connections.letter_jobs)
        stalled = Stalled(connections.destination)

        def tick() -> None:
            stalled.tick()
            reconcile.tick()
            snapshots.tick()
            letters.tick()

        return tick

    names = [schema.name for schema in config.stream_schemas(only)]
    attempts = {name: Attempts(name, rounds(name), metadata, on_error=lambda: None) for name in names}
    due = dict.fromkeys(names, 0.0)
    collector = Collector()
    while not stop.is_set():
        collector.rest()
        for name, attempt in attempts.items():
            if time.monotonic() >= due[name]:
                due[name] = time.monotonic() + attempt()
        stop.wait(SCHEDULER_SECONDS)
