"""In-memory source, destination and transport: the same contracts as the real ones, without servers and without time.

For tests and simulations, also of those who build on cartridge-warp. `tests/contract` holds them and the real
implementations to one suite.
"""

from warp.testing.database import MemoryDatabase, Row
from warp.testing.destination import MemoryDestination
from warp.testing.hook import Hook
from warp.testing.letters import MemoryLetterJobs
from warp.testing.metadata import MemoryMetadata
from warp.testing.source import MemorySource
from warp.testing.transport import MemoryBroker, MemoryLogs, MemoryWakeups

__all__ = [
    "Hook",
    "MemoryBroker",
    "MemoryDatabase",
    "MemoryDestination",
    "MemoryLetterJobs",
    "MemoryLogs",
    "MemoryMetadata",
    "MemorySource",
    "MemoryWakeups",
    "Row",
]
