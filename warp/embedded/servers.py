"""All three embedded servers at once, in a temporary directory that goes with them."""

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from warp.embedded.postgres import PostgresServer
from warp.embedded.process import StartFailed
from warp.embedded.redis import RedisServer
from warp.embedded.replica_set import MongoReplicaSet
from warp.embedded.server import Server


class EmbeddedServers(Server):
    """MongoDB, Redis and PostgreSQL, started side by side, in one temporary directory that `stop` removes.

    The directory stays when a server does not start: its log is there.
    """

    def __init__(
        self, *, members: int = 1, advertise: Callable[[int], int] | None = None, appendonly: bool = False
    ) -> None:
        """`members` and `advertise` as `MongoReplicaSet` takes them, `appendonly` as `RedisServer` does."""
        self.directory = Path(tempfile.mkdtemp(prefix="cartridge-warp-"))
        self.mongodb = MongoReplicaSet(self.directory / "mongodb", members=members, advertise=advertise)
        self.redis = RedisServer(self.directory / "redis", appendonly=appendonly)
        self.postgresql = PostgresServer(self.directory / "postgresql")
        self._servers: tuple[Server, ...] = (self.mongodb, self.redis, self.postgresql)
        self._keep_logs = False

    def start(self) -> None:
        """Start all of them and wait until all serve. Raises the EmbeddedUnavailable of the first that does not."""
        with ThreadPoolExecutor(len(self._servers), thread_name_prefix="embedded-start") as threads:
            starts = [threads.submit(server.start) for server in self._servers]
        try:
            for start in starts:
                start.result()
        except StartFailed:
            self._keep_logs = True
            raise

    def stop(self) -> None:
        """End all of them and remove the directory."""
        with ThreadPoolExecutor(len(self._servers), thread_name_prefix="embedded-stop") as threads:
            stops = [threads.submit(server.stop) for server in self._servers]
        for stop in stops:
            stop.result()
        if not self._keep_logs:
            shutil.rmtree(self.directory, ignore_errors=True)
