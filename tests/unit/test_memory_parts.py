"""The in-memory parts are what the contracts ask for: mypy holds these assignments."""

from warp.destinations.base import Destination, Transaction
from warp.metadata.base import Metadata
from warp.sources.base import ChangeStream, Source
from warp.testing import MemoryBroker, MemoryDestination, MemoryLogs, MemorySource, MemoryWakeups
from warp.transport.base import Logs, Wakeups


def test_the_parts_satisfy_their_protocols() -> None:
    source: Source = MemorySource()
    stream: ChangeStream = source.open_stream("shop", None)
    destination: Destination = MemoryDestination()
    metadata: Metadata = destination.metadata
    broker = MemoryBroker()
    logs: Logs = MemoryLogs(broker)
    wakeups: Wakeups = MemoryWakeups(broker)
    with destination.transaction() as opened:
        transaction: Transaction = opened
    assert None not in (stream, metadata, logs, wakeups, transaction)
