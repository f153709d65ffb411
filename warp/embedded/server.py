"""What the embedded servers have in common: they start, they stop, and `with` does both."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Server(ABC):
    """A context manager that is started on the way in and stopped on the way out, whatever happens in between."""

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it serves. Raises EmbeddedUnavailable."""

    @abstractmethod
    def stop(self) -> None:
        """End it and wait for its end; nothing if it is not running."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
