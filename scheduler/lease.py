"""Which of several processes leads: a Redis key with an expiry. It only avoids wasted work; nothing rests on it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import redis

from warp.transport.client import translated

LEASE_SECONDS = 6
"""A standby asks for the lead this long after its leader's last sign of life; changes are to flow within 10 s."""
RENEW_SECONDS = 1.0


class Lease:
    """One process's claim to lead."""

    def __init__(self, client: redis.Redis, address: str, key: str, *, clock: Callable[[], float]) -> None:
        """`clock` in seconds, only ever growing."""
        self._client = client
        self._address = address
        self._key = key
        self._clock = clock
        self._name = uuid4().hex
        self._held = False
        self._look_again = 0.0

    def hold(self) -> bool:
        """Whether this process leads; asks Redis at most every RENEW_SECONDS. Raises Transient or ServerUnreachable."""
        if self._clock() < self._look_again:
            return self._held
        with translated(self._address):
            if self._client.get(self._key) == self._name.encode():
                # Unlike SET it works while Redis is out of memory: the leader is not to give up its stream for that.
                self._held = bool(self._client.expire(self._key, LEASE_SECONDS))
            else:
                self._held = bool(self._client.set(self._key, self._name, nx=True, ex=LEASE_SECONDS))
        self._look_again = self._clock() + RENEW_SECONDS
        return self._held

    def release(self) -> None:
        """Let another one lead at once."""
        if self._held:
            with translated(self._address):
                if self._client.get(self._key) == self._name.encode():
                    self._client.delete(self._key)
            self._held = False
