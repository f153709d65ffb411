"""What the configuration says about how a table may become."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_COLUMNS = 500
"""Fields beyond so many stay in `_extra`, unless the configuration says another number."""
MOST_COLUMNS = 1590
"""What a configuration may say: PostgreSQL ends at 1,600 columns, of which up to five are our own."""


class Layout(StrEnum):
    """How documents lie in a table."""

    COLUMNS = "columns"
    """A row for each document, a column for each field; nested objects down to `flatten_depth` have columns, too."""
    DOCUMENT = "document"
    """A row for each document, which is whole in one column `doc`."""
    HISTORY = "history"
    """A row for each change, never altered: operation, position, cluster time, and the document in `doc`."""


DOCUMENT_FIELD = "doc"
"""What holds a document that is whole, in a record and in a row."""


class Rewrite(StrEnum):
    """Whether a column may be given a type for which PostgreSQL writes the whole table anew."""

    NEVER = "never"
    SMALL = "small"
    """Where the table is small."""
    ALWAYS = "always"


class Conflict(StrEnum):
    """What becomes of a value that does not fit its column, where no number type holds both."""

    EXTRA = "extra"
    """It stays in `_extra` of its row."""
    TEXT = "text"
    """The column becomes text."""
    JSONB = "jsonb"
    """The column becomes jsonb."""
    DEAD_LETTER = "dead_letter"
    """Its document becomes a dead letter."""


class Settled(StrEnum):
    """By which rule it was decided that a column takes no values of some kind that do not fit. They stay in `_extra`,
    unless the rule says otherwise."""

    REWRITE_NEVER = "rewrite: never"
    REWRITE_SMALL = "rewrite: small"
    """The table was not small."""
    REFUSED = "rewrite refused"
    """The destination did not do it: a view rests on the column, say."""
    NOT_EXACT = "not exact as double"
    """An int column held numbers beyond ±2^53."""
    CONFLICT_EXTRA = "conflict: extra"
    CONFLICT_DEAD_LETTER = "conflict: dead_letter"
    """Their documents become dead letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for one table."""

    soft_delete: bool = False
    max_columns: int = MAX_COLUMNS
    rewrite: Rewrite = Rewrite.SMALL
    conflict: Conflict = Conflict.EXTRA
    layout: Layout = Layout.COLUMNS
    flatten_depth: int = 0
    """Nested objects down to so many levels have columns of their own."""


DEFAULT = Rules()
