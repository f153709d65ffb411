"""A throwaway Redis server."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from warp.embedded.binaries import REDIS_SERVER
from warp.embedded.process import ServerProcess, listening, start_on_free_port
from warp.embedded.server import Server


class RedisServer(Server):
    """A Redis on 127.0.0.1, with its files in `directory`. It keeps its port across restarts.

    Without `appendonly` its data is in memory alone: `stop` and `kill` lose it. With `appendonly` both keep it, as
    Redis writes the file before it answers.
    """

    def __init__(self, directory: Path, *, appendonly: bool = False) -> None:
        self.directory = directory
        self.port = 0
        self._appendonly = appendonly
        self._process = ServerProcess("redis-server", directory / "redis.log")

    @property
    def url(self) -> str:
        """The connection string; valid from the first `start` on, also while the server is down."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The process id, None when it is not running."""
        return self._process.pid

    @property
    def append_only_file(self) -> Path:
        """Where it appends what it is told, with `appendonly`."""
        return self.directory / "appendonly.aof"

    def start(self) -> None:
        """Start it and wait until it serves. Raises EmbeddedUnavailable."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.port:
            self._start(self.port)
        else:
            self.port = start_on_free_port(self._start)

    def stop(self) -> None:
        """End it with SIGTERM, or SIGKILL if that does not help; nothing if it is not running."""
        self._process.stop()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()

    def restart(self, *, keep_data: bool) -> None:
        """Stop it and start it again on the same port, with all of its data or none."""
        if keep_data and not self._appendonly:
            with redis.Redis.from_url(self.url) as client:
                client.save()
        self.stop()
        if not keep_data:
            self._dump.unlink(missing_ok=True)
            self.append_only_file.unlink(missing_ok=True)
        self.start()
        # Or a later restart would bring back data of long ago.
        self._dump.unlink(missing_ok=True)

    @property
    def _dump(self) -> Path:
        return self.directory / "dump.rdb"

    def _start(self, port: int) -> None:
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(self.directory.absolute()),
            "save": "",
            "appendonly": "yes" if self._appendonly else "no",
        }
        words = [word for option, value in options.items() for word in (f"--{option}", value)]
        self._process.launch([REDIS_SERVER.locate(), *words])
        self._process.wait_ready(lambda: self._serves(port))

    def _serves(self, port: int) -> bool:
        if not listening(port):
            return False
        try:
            with redis.Redis(host="127.0.0.1", port=port, socket_timeout=2.0, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.info("server")["process_id"] == self.pid and client.ping())
        except redis.RedisError:
            return False
