"""What a process connects to, made from its configuration in one place."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from warp.config import Config
from warp.destinations.base import Destination
from warp.destinations.registry import open_destination
from warp.sources.base import Source
from warp.sources.registry import open_source
from warp.transport.client import connect, translated, where
from warp.transport.letters import RedisLetterJobs
from warp.transport.logs import RedisLogs
from warp.transport.wakeups import RedisWakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Source, destination and transport of one process. For one thread."""

    source: Source
    destination: Destination
    redis: redis.Redis
    redis_address: str
    logs: RedisLogs
    wakeups: RedisWakeups
    letter_jobs: RedisLetterJobs

    def check(self) -> None:
        """Reach every server once. Raises ServerUnreachable or Fatal, which say which one and why."""
        self.source.now()
        self.destination.require_migrated()
        with translated(self.redis_address):
            self.redis.ping()

    def close(self) -> None:
        """Give everything back."""
        self.source.close()
        self.destination.close()
        self.redis.close()


def open_connections(config: Config) -> Connections:
    """Connect lazily to everything that the configuration names."""
    url = config.redis.connection_string.get_secret_value()
    client, address = connect(url), where(url)
    return Connections(
        source=open_source(config.source.type, config.source.connection_string.get_secret_value()),
        destination=open_destination(config.destination.type, config.destination.connection_string.get_secret_value()),
        redis=client,
        redis_address=address,
        logs=RedisLogs(client, address),
        wakeups=RedisWakeups(client, address),
        letter_jobs=RedisLetterJobs(client, address),
    )
