"""Which workers there are, by what they have registered with RQ."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import redis
from rq.utils import utcparse
from rq.worker_registration import REDIS_WORKER_KEYS

from warp.transport.client import translated

ALIVE_SECONDS = 60.0
"""A worker says that it lives once a second, but for the time of a step."""


def alive(client: redis.Redis, address: str) -> int:
    """How many workers have lately given a sign of life. Raises Transient, Refused or ServerUnreachable."""
    with translated(address):
        keys = cast(set[bytes], client.smembers(REDIS_WORKER_KEYS))
        seen = [cast(bytes | None, client.hget(key.decode(), "last_heartbeat")) for key in keys]
    now = datetime.now(UTC)
    return sum((now - utcparse(time.decode())).total_seconds() < ALIVE_SECONDS for time in seen if time)
