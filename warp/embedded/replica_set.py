"""A throwaway MongoDB replica set: change streams and transactions need one, if only of one member."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from warp.embedded.mongod import Mongod
from warp.embedded.process import START_SECONDS, StartFailed
from warp.embedded.server import Server

_NAME: Final = "embedded"
_POLL_SECONDS: Final = 0.05

# A primary that is gone is replaced within some two seconds instead of ten.
_SETTINGS: Final = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}


class MongoReplicaSet(Server):
    """mongods on 127.0.0.1, with their files in `directory`. They keep their ports and data across restarts."""

    def __init__(
        self,
        directory: Path,
        *,
        members: int = 1,
        oplog_mb: int | None = None,
        ports: Sequence[int] | None = None,
        advertise: Callable[[int], int] | None = None,
    ) -> None:
        """`oplog_mb` is the size of the oplog, MongoDB's own choice if None; `ports`, one a member, or free ones.

        `advertise` gives the port at which everybody, other members too, reaches a member that listens on a port:
        that of a proxy, say. It is called once for each, when all of them listen.
        """
        self.directory = directory
        chosen: Sequence[int | None] = ports or [None] * members
        self._members = [
            Mongod(directory / f"member-{number}", replica_set=_NAME, port=port, oplog_mb=oplog_mb)
            for number, port in zip(range(members), chosen, strict=True)
        ]
        self._advertise = advertise or (lambda port: port)
        self._hosts: list[str] = []

    @property
    def uri(self) -> str:
        """The connection string; valid from the first `start` on, also while members are down."""
        return f"mongodb://{','.join(self._hosts)}/?replicaSet={_NAME}"

    @property
    def pids(self) -> list[int | None]:
        """The process id of each member, None for one that is not running."""
        return [member.pid for member in self._members]

    def primary(self) -> int | None:
        """Which member is the primary, None if there is none just now."""
        states = [member.state() for member in self._members]
        return states.index("primary") if "primary" in states else None

    def start(self) -> None:
        """Start the members; wait for a primary that takes writes and for all others to be its secondaries."""
        for member in self._members:
            member.start()
        if not self._hosts:
            self._initiate()
        self._wait_until_whole()

    def stop(self) -> None:
        """End all members, with SIGTERM, or SIGKILL if that does not help; nothing for those not running."""
        for member in self._members:
            member.stop()

    def kill(self, member: int = 0) -> None:
        """End one member with SIGKILL."""
        self._members[member].kill()

    def restart(self, member: int = 0) -> None:
        """Stop one member if it runs, start it again, and wait until all that run are primary or secondary."""
        self._members[member].stop()
        self._members[member].start()
        self._wait_until_whole()

    def step_down(self, seconds: int) -> None:
        """Make the primary a secondary that does not stand for election for so long. Raises PyMongoError."""
        primary = self.primary()
        if primary is not None:
            self._members[primary].command("replSetStepDown", seconds)

    def _initiate(self) -> None:
        hosts = [f"127.0.0.1:{self._advertise(member.port)}" for member in self._members]
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        configuration = {"_id": _NAME, "members": members, "settings": _SETTINGS}
        self._members[0].command("replSetInitiate", configuration)
        self._hosts = hosts

    def _wait_until_whole(self) -> None:
        running = [member for member in self._members if member.pid is not None]
        deadline = time.monotonic() + START_SECONDS
        while True:
            states = [member.state() for member in running]
            if states.count("primary") == 1 and "other" not in states:
                return
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"the MongoDB replica set has no primary with all others following after {START_SECONDS:.0f} "
                    f"seconds; its logs are {', '.join(str(member.log) for member in running)}"
                )
            time.sleep(_POLL_SECONDS)
