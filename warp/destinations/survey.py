"""What a destination can say about itself without anything happening to it: for `run --dry-run` and `schema`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Protocol

from warp.change import TableRef, Write
from warp.errors import ConfigurationError
from warp.evolution.shape import Shape


class MetadataTables(StrEnum):
    """What `migrate` would do to the metadata tables."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeVersion:
    """One decision about a table's shape, as the registry keeps it."""

    ref: TableRef
    version: int
    before: Shape | None
    """None: there was no table."""
    after: Shape | None
    """None: the table was dropped."""
    cause: str
    position: str | None
    """Up to where in the stream that was needed; BEGINNING: a first load has read it; None: neither, or not known."""
    at: datetime


class Survey(Protocol):
    """Looks at a destination, and never writes. Raises Transient, Fatal or ServerUnreachable."""

    def server(self) -> str:
        """Name and version of the server."""

    def metadata_tables(self) -> MetadataTables:
        """What `migrate` would do. Raises Fatal where they were made by a newer version of this program."""

    def shapes(self, schema: str) -> Mapping[str, Shape]:
        """The tables of a schema that are ours, by the name of their source's table; also before `migrate`."""

    def target(self, ref: TableRef) -> str:
        """The name of the table that mirrors a source's table, as the destination writes it."""

    def exists(self, ref: TableRef) -> bool:
        """Whether something has that name already, whoever made it."""

    def refusals(self, schemas: Iterable[str]) -> list[str]:
        """What we would have to create and may not, each as a line with its remedy."""

    def columns(self, shape: Shape) -> dict[str, str]:
        """The names of a table's columns, each with its native type."""

    def actual_columns(self, ref: TableRef) -> Mapping[str, str] | None:
        """The columns that the table really has, each with its native type; None where there is no table."""

    def versions(self, schema: str) -> Sequence[ShapeVersion]:
        """Every version of every table of a schema, by table, and then the oldest first. Needs `migrate`."""

    def kept(self, shape: Shape, writes: Iterable[Write]) -> Counter[tuple[str, str]]:
        """How many values would be kept in `_extra`, by field and reason."""

    def close(self) -> None:
        """Give back every connection. May be called twice."""


_SURVEYS = {"postgresql": "warp.destinations.postgresql.survey:open_survey"}


def open_survey(kind: str, connection_string: str) -> Survey:
    """Look at a destination of that type. Raises ConfigurationError for a type that does not exist."""
    try:
        module, name = _SURVEYS[kind].split(":")
    except KeyError:
        raise ConfigurationError(f"no destination of type {kind!r}; there are: {', '.join(_SURVEYS)}") from None
    opener: Callable[[str], Survey] = getattr(import_module(module), name)
    return opener(connection_string)
