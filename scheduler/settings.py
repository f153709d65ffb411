"""What a tailer must know of a table's settings."""

from __future__ import annotations

from typing import Protocol

from warp.destinations.base import OnDrop


class TableFateSettings(Protocol):
    """The settings of a table that concern its end."""

    @property
    def deletion_strategy(self) -> str:
        """`soft` or `hard`."""

    @property
    def on_drop(self) -> OnDrop:
        """What becomes of its rows."""

    @property
    def partitions(self) -> int:
        """How many partitions a new one gets."""


class RoutingSettings(TableFateSettings, Protocol):
    """The settings of a table that concern its routing, and its end."""

    @property
    def batch_size(self) -> int:
        """The most changes of one entry."""
