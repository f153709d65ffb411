"""One mongod, a member of a replica set that `warp.embedded.replica_set` makes of it and others."""

from pathlib import Path
from typing import Any, Final, Literal

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from warp.embedded.binaries import MONGOD
from warp.embedded.process import ServerProcess, listening, start_on_free_port
from warp.embedded.server import Server

MemberState = Literal["primary", "secondary", "other"]

_PARAMETERS: Final = {
    "diagnosticDataCollectionEnabled": "false",
    # Or a member that is told to stop goes on for 15 seconds, for clients to find another primary.
    "shutdownTimeoutMillisForSignaledShutdown": "100",
    # An idle set's time goes on then, which the end of a second read of a table waits for. Without it: every ten.
    "periodicNoopIntervalSecs": "1",
}


class Mongod(Server):
    """A mongod on 127.0.0.1, with its files in `directory`. It keeps its port and its data across restarts."""

    def __init__(self, directory: Path, *, replica_set: str, port: int | None, oplog_mb: int | None) -> None:
        self.directory = directory
        self.port = port or 0
        self._replica_set = replica_set
        self._oplog_mb = oplog_mb
        self._process = ServerProcess("mongod", directory / "mongod.log")

    @property
    def host(self) -> str:
        """Host and port; valid from the first `start` on, also while it is down."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, None when it is not running."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """Where it logs."""
        return self._process.log

    def start(self) -> None:
        """Start it and wait until it answers, which it does before it is a primary or secondary."""
        self._data.mkdir(parents=True, exist_ok=True)
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

    def command(self, name: str, value: object = 1) -> dict[str, Any]:
        """Run an admin command on this very member. Raises PyMongoError."""
        return self._command(self.port, name, value)

    def state(self) -> MemberState:
        """Whether it takes writes, follows, or does neither just now."""
        if self.pid is None:
            return "other"
        try:
            hello = self.command("hello")
        except PyMongoError:
            return "other"
        if hello["isWritablePrimary"]:
            return "primary"
        return "secondary" if hello.get("secondary") else "other"

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _start(self, port: int) -> None:
        options = {
            "replSet": self._replica_set,
            "bind_ip": "127.0.0.1",
            "port": str(port),
            "dbpath": str(self._data.absolute()),
            "wiredTigerCacheSizeGB": "1",
        }
        if self._oplog_mb is not None:
            # The oplog is cut behind a checkpoint only: one a second instead of one a minute.
            options |= {"oplogSize": str(self._oplog_mb), "syncdelay": "1"}
        words = [word for option, value in options.items() for word in (f"--{option}", value)]
        words += [word for name, value in _PARAMETERS.items() for word in ("--setParameter", f"{name}={value}")]
        self._process.launch([MONGOD.locate(), "--quiet", "--nounixsocket", *words])
        self._process.wait_ready(lambda: self._serves(port))

    def _serves(self, port: int) -> bool:
        if not listening(port):
            return False
        try:
            return bool(self._command(port, "serverStatus")["pid"] == self.pid)
        except PyMongoError:
            return False

    def _command(self, port: int, name: str, value: object = 1) -> dict[str, Any]:
        direct = MongoClient[dict[str, Any]]("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=2000)
        with direct as client:
            return client.admin.command(name, value)
