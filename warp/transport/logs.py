"""Partition logs as Redis Streams: `warp.transport.base.Logs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, cast

import redis

from warp.change import Partition
from warp.errors import Transient
from warp.transport import keys
from warp.transport.base import Backlog, Entry, StoredEntry
from warp.transport.client import translated

FORMAT = b"1"
"""The version of an entry's fields. A worker leaves an entry of another version to a worker that knows it."""


class RedisLogs:
    """See `warp.transport.base.Logs` for the contract of each method."""

    def __init__(self, client: redis.Redis, address: str) -> None:
        self._client = client
        self._address = address
        self._remove = client.register_script(_script("remove.lua"))
        self._backlog = client.register_script(_script("backlog.lua"))
        self._tails = client.register_script(_script("tails.lua"))

    def append(self, entries: Sequence[Entry]) -> None:
        with translated(self._address), self._client.pipeline(transaction=True) as pipeline:
            for entry in entries:
                partition = entry.partition
                counters = keys.backlog(partition.schema)
                pipeline.xadd(keys.log(partition), cast(Any, _fields(entry)))
                pipeline.hincrby(counters, f"{_field(partition)}:changes", entry.changes)
                pipeline.hincrby(counters, f"{_field(partition)}:bytes", entry.size)
            pipeline.execute()

    def read(self, partition: Partition, after: str | None, count: int) -> list[StoredEntry]:
        first = "-" if after is None else f"({after}"
        with translated(self._address):
            found = cast(Any, self._client.xrange(keys.log(partition), first, "+", count))
        if any(fields.get(b"v") != FORMAT for _, fields in found):
            raise Transient("a log holds an entry of another cartridge-warp", remedy="upgrade this worker")
        return [StoredEntry(identity.decode(), _entry(partition, fields)) for identity, fields in found]

    def remove(self, partition: Partition, stored: Sequence[StoredEntry]) -> None:
        if not stored:
            return
        arguments: list[str | int] = [_field(stored[0].entry.partition)]
        for identity, entry in stored:
            arguments += [identity, entry.changes, entry.size]
        with translated(self._address):
            self._remove(keys=[keys.log(partition), keys.backlog(partition.schema)], args=arguments)

    def tails(self, partitions: Sequence[Partition]) -> list[str | None]:
        if not partitions:
            return []
        with translated(self._address):
            found = cast(list[bytes | None], self._tails(keys=[keys.log(partition) for partition in partitions]))
        return [None if last is None else last.decode() for last in found]

    def backlog(self, schema: str) -> Mapping[tuple[str, int], Backlog]:
        with translated(self._address):
            counters = cast(list[bytes], self._backlog(keys=[keys.backlog(schema)], args=[keys.logs(schema)]))
        found: dict[tuple[str, int], Backlog] = {}
        for name, value in zip(counters[::2], counters[1::2], strict=True):
            table, number, what = name.decode().rsplit(":", 2)
            backlog = found.get((table, int(number)), Backlog(0, 0))
            found[table, int(number)] = (
                backlog._replace(changes=backlog.changes + int(value))
                if what == "changes"
                else backlog._replace(bytes=backlog.bytes + int(value))
            )
        return found

    def capacity(self) -> int | None:
        with translated(self._address):
            most = int(self._client.info("memory")["maxmemory"])
        return most or None

    def request_resend(self, schema: str, epochs: Iterable[str]) -> None:
        with translated(self._address):
            self._client.sadd(keys.resend(schema), *epochs)
            self._client.expire(keys.resend(schema), 3600)

    def take_resends(self, schema: str, epoch: str) -> bool:
        with translated(self._address):
            return bool(self._client.srem(keys.resend(schema), epoch))


def _script(name: str) -> str:
    return files("warp.transport").joinpath(name).read_text()


def _field(partition: Partition) -> str:
    return f"{partition.table}:{partition.number}"


def _fields(entry: Entry) -> dict[str, str | int | bytes]:
    return {
        "v": FORMAT,
        "prev": entry.prev,
        "last": entry.last,
        "changes": entry.changes,
        "of": entry.partition.of,
        "epoch": entry.epoch,
        "cid": entry.correlation_id,
        "payload": entry.payload,
    }


def _entry(partition: Partition, fields: dict[bytes, bytes]) -> Entry:
    return Entry(
        partition=partition._replace(of=int(fields[b"of"])),
        prev=fields[b"prev"].decode(),
        last=fields[b"last"].decode(),
        changes=int(fields[b"changes"]),
        epoch=fields[b"epoch"].decode(),
        correlation_id=fields[b"cid"].decode(),
        payload=fields[b"payload"],
    )
