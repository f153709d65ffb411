"""The demonstration from the first server to the last comparison, told to a person who watches."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import yaml
from pymongo import MongoClient
from rich.console import Console
from rich.text import Text

from warp.children import module_command, module_environment
from warp.config import load_config
from warp.connections import Connections, open_connections
from warp.demo.fill import Data
from warp.demo.probe import Probe, percentile
from warp.demo.shop import Document
from warp.demo.summary import Outcome
from warp.demo.writing import WriterProcess
from warp.embedded import EmbeddedServers
from warp.errors import WarpError
from warp.fleet import Fleet
from warp.monitoring.display import Display, display
from warp.monitoring.progress import Progress, Watch
from warp.supervisor import Supervisor, supervised
from warp.verify import verify_schema

WORKERS = 2
RATE = 3_000
"""Changes a second that the writer does not exceed."""
PATIENCE_SECONDS = 60.0
"""How long nothing may move before that counts as a failure."""
_LOOK_SECONDS = 0.2
_LABEL_WIDTH = 12


class Demonstration:
    """Goes through it step by step. Servers and processes live as long as the `with` blocks of `run`."""

    def __init__(self, data: Data, *, seconds: float, seed: int, logs: Path, console: Console) -> None:
        """`seconds` for which the writer goes on after the first load; `logs` is where each process has its log."""
        self._data = data
        self._seconds = seconds
        self._seed = seed
        self._logs = logs
        self._console = console

    def run(self, afterwards: Callable[[EmbeddedServers, Outcome], None]) -> Outcome:
        """Do it all. `afterwards` is called while servers and processes still run.

        Raises EmbeddedUnavailable, ConfigurationError for files that cannot be used, and WarpError where the mirror
        does not get on.
        """
        began = time.monotonic()
        with EmbeddedServers() as servers:
            self._say("servers", f"MongoDB, Redis and PostgreSQL run ({_since(began)})")
            self._fill(servers)
            config = self._configure(servers)
            self._migrate(config)
            with closing(open_connections(load_config(config, {}))) as connections:
                outcome = self._mirror(servers, config, connections, afterwards)
        return outcome

    def _fill(self, servers: EmbeddedServers) -> None:
        began = time.monotonic()
        with MongoClient[Document](servers.mongodb.uri) as client:
            inserted = self._data.fill(client[self._data.database])
        where = f"MongoDB's database {self._data.database}"
        self._say("source", f"{inserted:,} documents are in {where} ({_since(began)})")

    def _configure(self, servers: EmbeddedServers) -> Path:
        path = servers.directory / "cartridge-warp.yaml"
        content = {
            "source": {"type": "mongodb", "connection_string": servers.mongodb.uri},
            "destination": {"type": "postgresql", "connection_string": servers.postgresql.dsn},
            "redis": {"connection_string": servers.redis.url},
            "schemas": [{"name": self._data.database}],
            # The oplog has just begun: how long it will last cannot be told from it.
            "monitoring": {"min_oplog_headroom_hours": 0},
        }
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def _migrate(self, config: Path) -> None:
        with (self._logs / "migrate.log").open("wb") as log:
            done = subprocess.run(
                module_command("warp.cli", "migrate", "--config", str(config)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **module_environment()},
                check=False,
            )
        if done.returncode:
            raise WarpError(f"cartridge-warp migrate ended with exit code {done.returncode}")

    def _mirror(
        self,
        servers: EmbeddedServers,
        config: Path,
        connections: Connections,
        afterwards: Callable[[EmbeddedServers, Outcome], None],
    ) -> Outcome:
        schema = self._data.database
        probe = Probe(servers.mongodb.uri, schema, servers.postgresql.dsn)
        probe.prepare()
        fleet = Fleet(schemas=[schema], config_path=config, workers=WORKERS, scheduler=True, log_directory=self._logs)
        order = {"rate": RATE, "seed": self._seed, **self._data.work()}
        writer = WriterProcess(servers.mongodb.uri, schema, order, self._logs / "writer.log")
        watch = Watch([schema], connections.source, connections.destination.metadata, connections.logs)
        self._say("mirror", f"a tailer, {WORKERS} workers and a scheduler start, then a writer that changes documents")
        with supervised(Supervisor(fleet.programs())) as check_fleet:
            with display(sys.stdout) as shown:
                look = _Look(watch, shown, [check_fleet])
                # Only then, so that all that it does comes through the change stream.
                look.until(lambda progress: progress.begun, "the processes start")
                with writer:
                    look.checks.append(writer.check)
                    look.until(lambda progress: not progress.loading, "first load, the writer is at work")
                    # What was written meanwhile has waited for it, and must not be taken for the usual delay.
                    loaded_at = connections.source.now()
                    look.until(lambda progress: progress.caught_up(loaded_at), "catching up with the first load")
                    loaded, after_load = look.progress, time.monotonic()
                    with probe:
                        ends = after_load + self._seconds
                        look.until(lambda _: time.monotonic() >= ends, lambda: _timed(probe, ends))
                    written = writer.stop()
                    look.checks.remove(writer.check)
                ts = connections.source.now()
                look.until(lambda progress: progress.caught_up(ts), "the writer has ended, catching up")
                caught_up, after_stream = look.progress, time.monotonic()
            self._say("compare", "every document with its row")
            outcome = Outcome(
                loaded=caught_up.loaded,
                load_seconds=_load_seconds(servers.postgresql.dsn),
                written=written,
                applied=caught_up.applied,
                streamed=caught_up.applied - loaded.applied,
                stream_seconds=after_stream - after_load,
                samples=probe.samples,
                letters=caught_up.letters,
                results=verify_schema(connections.source, connections.destination, schema),
            )
            afterwards(servers, outcome)
        return outcome

    def _say(self, label: str, text: str) -> None:
        self._console.print(Text.assemble((f"{label:<{_LABEL_WIDTH}}", "bold"), text))


class _Look:
    """Looks at the mirror again and again, and gives up when nothing moves."""

    def __init__(self, watch: Watch, shown: Display, checks: list[Callable[[], None]]) -> None:
        self.checks = checks
        """Called at every look; each raises what has gone wrong."""
        self._watch = watch
        self._shown = shown
        self.progress: Progress = watch.observe(time.monotonic())

    def until(self, condition: Callable[[Progress], bool], note: str | Callable[[], str]) -> None:
        """Show progress, with a note beside it, until a condition holds."""
        moved = time.monotonic()
        while True:
            before, self.progress = self.progress, self._watch.observe(time.monotonic())
            self._shown.show(self.progress, note if isinstance(note, str) else note())
            if condition(self.progress):
                return
            for check in self.checks:
                check()
            if _state(self.progress) != _state(before):
                moved = time.monotonic()
            elif time.monotonic() - moved > PATIENCE_SECONDS:
                raise WarpError(f"nothing has moved for {PATIENCE_SECONDS:.0f} seconds")
            time.sleep(_LOOK_SECONDS)


def _state(progress: Progress) -> tuple[int, int, int]:
    return progress.loaded, progress.applied, len(progress.tables)


def _timed(probe: Probe, ends: float) -> str:
    samples = list(probe.samples)
    left = f"the writer goes on for {max(0.0, ends - time.monotonic()):.0f} s"
    return f"{left}, from commit to row p50 {1000 * percentile(samples, 50):,.0f} ms" if samples else left


def _load_seconds(dsn: str) -> float:
    """From the first load's plan to its last chunk, by PostgreSQL's clock."""
    query = (
        "SELECT extract(epoch FROM (SELECT max(finished_at) FROM cartridge_warp.snapshot_chunks) "
        "- (SELECT min(snapshot_started_at) FROM cartridge_warp.sync_tables))"
    )
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
    return max(0.001, float(row[0])) if row and row[0] is not None else 0.001


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
