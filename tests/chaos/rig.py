"""Everything that faults act on: real servers behind proxies, and the real processes of a fleet between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psycopg
from redis import Redis

from tests.chaos.proxies import Proxies, Proxy
from tests.chaos.workload import APP_NAME
from tests.support.endpoints import Endpoints, write_config
from tests.support.fleet import Fleet, Process
from tests.support.mirror import Mirror
from tests.support.postgresql import make_template, migrated_database
from warp.embedded import EmbeddedServers
from warp.errors import ExitCode

SCHEMAS = ("shop", "Ledger")
SOFT = "Ledger"
"""The schema whose deleted documents' rows stay, marked."""
_WORKERS = 2
"""To begin with."""
_SPARED = ("internalClient", APP_NAME)
"""In the first message of a connection to MongoDB: another member's, the writer's. A fault is not theirs."""


_AWAY = ExitCode.UNREACHABLE


class Rig:
    """Servers, proxies and processes, from the beginning of a block to its end."""

    mirror: Mirror
    servers: EmbeddedServers
    proxies: dict[str, list[Proxy]]
    """By server: "mongodb" (one a member), "redis", "postgresql"."""
    dsn: str
    """PostgreSQL past its proxy."""

    def __init__(self, directory: Path, *, members: int) -> None:
        """Logs of the processes go into `directory`; so many members of MongoDB's replica set."""
        self._directory = directory
        self._members = members
        self._stack = ExitStack()
        self._waiting = threading.Event()
        self.standbys: dict[str, Process] = {}
        """By schema, a second tailer."""
        self.partitions: dict[tuple[str, str], int] = {(schema, "orders"): 3 for schema in SCHEMAS}
        """Of tables that have not one."""
        self.restarts = 0
        """Of processes that found a server away when they started."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            relays = stack.enter_context(Proxies())
            members: list[Proxy] = []

            def advertise(port: int) -> int:
                members.append(relays.add(port, exempt=_SPARED))
                return members[-1].port

            self.servers = EmbeddedServers(members=self._members, advertise=advertise, appendonly=True)
            stack.enter_context(self.servers)
            make_template(self.servers)
            self.dsn = migrated_database(self.servers)
            redis = relays.add(self.servers.redis.port)
            postgresql = relays.add(self.servers.postgresql.port)
            self.proxies = {"mongodb": members, "redis": [redis], "postgresql": [postgresql]}
            self.endpoints = Endpoints(
                mongo_uri=self.servers.mongodb.uri,
                redis_url=_through(self.servers.redis.url, redis),
                pg_dsn=_through(self.dsn, postgresql),
            )
            fleet = stack.enter_context(Fleet(self._directory))
            config = self._directory / "config.yaml"
            self.mirror = stack.enter_context(Mirror(fleet, self.endpoints, config, *self._schemas()))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def start(self) -> None:
        """Start all processes: for each schema a tailer and one that stands by, workers, a scheduler."""
        self.mirror.start(workers=_WORKERS)
        self.standbys = {name: self.mirror.fleet.tailer(self.mirror.config, name) for name in self.mirror.names}

    @property
    def processes(self) -> list[Process]:
        """All that are to be running."""
        return [*self.mirror.processes, *self.standbys.values()]

    def tailers(self, schema: str) -> list[Process]:
        """The one that leads, as far as its log says, and the other."""
        pair = [self.mirror.tailers[schema], self.standbys[schema]]
        return sorted(pair, key=_led_at, reverse=True)

    def ended_by_themselves(self) -> list[str]:
        """Processes that nobody told to end, and how they did, but for those that start when a server is away."""
        ended = [process for process in self.processes if not process.running]
        return [f"{process.name} ended with {code}" for process in ended if (code := process.wait()) != _AWAY]

    def pause(self, seconds: float) -> None:
        """Let time pass, and start what found a server away when it started again, as a supervisor would."""
        self._waiting.wait(seconds)
        for process in self.processes:
            if not process.running and process.wait() == _AWAY:
                process.restart()
                self.restarts += 1

    def configure(self) -> None:
        """Write `partitions` into the configuration; a process knows it from its next start on."""
        write_config(self.mirror.config, self.endpoints, self._schemas())

    @contextmanager
    def postgresql(self, *, autocommit: bool = True) -> Iterator[psycopg.Connection]:
        """A connection past the proxy."""
        with psycopg.connect(self.dsn, autocommit=autocommit) as connection:
            yield connection

    @contextmanager
    def redis(self) -> Iterator[Redis]:
        """A connection past the proxy."""
        with Redis.from_url(self.servers.redis.url) as client:
            yield client

    def _schemas(self) -> Sequence[dict[str, object]]:
        return [
            {
                "name": schema,
                "deletion_strategy": "soft" if schema == SOFT else "hard",
                "on_drop": "truncate" if schema == SOFT else "keep",
                "tables": [
                    {"name": table, "partitions": number}
                    for (of, table), number in sorted(self.partitions.items())
                    if of == schema
                ],
            }
            for schema in SCHEMAS
        ]


def _through(url: str, proxy: Proxy) -> str:
    port = urlsplit(url).port
    return url.replace(f":{port}/", f":{proxy.port}/")


def _led_at(process: Process) -> str:
    """When it last began to follow the stream; its log's lines begin with the time."""
    began = [line for line in process.output().splitlines() if "stream opened" in line]
    return began[-1].split()[0] if began else ""
