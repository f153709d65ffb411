"""Redis: killed, emptied, set back by a second, or full."""

from __future__ import annotations

import os

from tests.chaos.faults.fault import Fault, seconds
from tests.chaos.rig import Rig

_AWAY = seconds(0, 3)


def _kill(rig: Rig, away: float) -> str:
    """It comes back with all that it had."""
    server = rig.servers.redis
    server.kill()
    rig.pause(away)
    server.start()
    return "redis"


def _restart_empty(rig: Rig, away: float) -> str:
    server = rig.servers.redis
    server.kill()
    rig.pause(away)
    server.restart(keep_data=False)
    return "redis"


def _flush(rig: Rig) -> str:
    with rig.redis() as client:
        client.flushall()
    return "redis"


def _lose_last(rig: Rig, lost: float, away: float) -> str:
    """What it appended in the last moment is gone, as after a power cut with `appendfsync everysec`."""
    server, file = rig.servers.redis, rig.servers.redis.append_only_file
    before = file.stat()
    rig.pause(lost)
    server.kill()
    after = file.stat()
    # A file that was rewritten meanwhile may be a single dump, which Redis does not load in part.
    cut = after.st_size - before.st_size if after.st_ino == before.st_ino else 0
    os.truncate(file, after.st_size - cut)
    rig.pause(away)
    server.start()
    return f"redis, {cut} bytes"


def _fill(rig: Rig, lasting: float) -> str:
    """With noeviction, its default policy, every command that needs memory is refused."""
    with rig.redis() as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used // 2)
        rig.pause(lasting)
        client.config_set("maxmemory", 0)
    return f"redis, {used} bytes used"


FAULTS = (
    Fault("redis-kill", _kill, {"away": _AWAY}),
    Fault("redis-empty", _restart_empty, {"away": _AWAY}),
    Fault("redis-flush", _flush, {}),
    Fault("redis-lose-last", _lose_last, {"lost": seconds(0.5, 2), "away": seconds(0, 1)}),
    Fault("redis-full", _fill, {"lasting": seconds(1, 8)}),
)
