"""What a destination can say about itself without anything happening to it: for `run --dry-run` and `schema`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Protocol

from warp.change import Key, TableRef, Write
from warp.destinations.base import Written
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

    def target_schema(self, schema: str) -> str:
        """The name of the schema that mirrors a source's schema, as the destination writes it."""

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

    def ddl(self, ref: TableRef, before: Shape | None, after: Shape) -> Sequence[str]:
        """The statements that make a table of one shape one of the other, or create it; none where they are equal."""

    def long_keys(self, keys: Iterable[Key]) -> list[tuple[Key, int]]:
        """The keys that may be too long for an index, each with its length in bytes."""

    def fitted(self, shape: Shape, writes: Iterable[Write]) -> Written:
        """What of these documents such a table would not take: `kept`, by field and reason, and `misfits`. Those of
        the reason `dead_letter` would become dead letters."""

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
