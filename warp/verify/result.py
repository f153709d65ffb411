"""What can be said of one document and of one table, and the tally from which a table's result comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from warp.change import Key, TableRef, dotted

MOST_EXAMPLES = 20
"""Keys that are named for each table."""


class Verdict(StrEnum):
    """How a document and its row stand to one another."""

    SAME = "same"
    ABSENT = "absent"
    """Neither exists: the document was deleted meanwhile, and its row with it."""
    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"

    @property
    def equal(self) -> bool:
        """Whether both sides agree."""
        return self in (Verdict.SAME, Verdict.ABSENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One difference: the key's text, what is wrong, and in which fields; never a value."""

    key: str
    problem: Verdict
    fields: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `verify --json` prints it."""
        return {"key": self.key, "problem": self.problem.value, "fields": list(self.fields)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableResult:
    """How the two sides of one table compare. Rows softly deleted do not count."""

    schema: str
    table: str
    source_documents: int
    target_rows: int
    missing: int
    extra: int
    different: int
    examples: tuple[Example, ...]
    """The first differences, MOST_EXAMPLES at most."""
    kept_rows: int = 0
    """Rows that are kept of what the source dropped; they belong to no document, and are no difference."""
    error: str | None = None
    """Why the table could not be compared to its end; it counts as different then."""

    excluded: bool = False
    """It is not mirrored, so that nothing was compared."""

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.extra or self.different or self.error)

    def to_json(self) -> dict[str, Any]:
        """As `verify --json` prints it."""
        return {
            "schema": self.schema,
            "table": self.table,
            "source_documents": self.source_documents,
            "target_rows": self.target_rows,
            "kept_rows": self.kept_rows,
            "missing": self.missing,
            "extra": self.extra,
            "different": self.different,
            "examples": [example.to_json() for example in self.examples],
            **({"error": self.error} if self.error else {}),
            **({"excluded": True} if self.excluded else {}),
        }


@dataclass(slots=True, kw_only=True)
class Suspect:
    """A document that was not equal to its row when it was last looked at."""

    verdict: Verdict
    fields: tuple[str, ...]
    fingerprint: int
    """Of the document and the row, both: whether either has changed since the look before."""
    looks: int = 1
    """How often in a row it has looked exactly like this."""
    since: int | None = None
    """A cluster time at which it already looked like this; None until one has been asked for."""


@dataclass(slots=True)
class Tally:
    """What has been found out about one table so far."""

    ref: TableRef
    counts: Counter[Verdict] = field(default_factory=Counter)
    suspects: dict[Key, Suspect] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    kept_rows: int = 0
    error: str | None = None
    excluded: bool = False

    def count(self, key: Key, verdict: Verdict, fields: tuple[str, ...]) -> None:
        """Note what is certain about one document."""
        self.counts[verdict] += 1
        if not verdict.equal and len(self.examples) < MOST_EXAMPLES:
            self.examples.append(Example(key=key.text, problem=verdict, fields=tuple(map(dotted, fields))))

    def result(self) -> TableResult:
        """The result, once no suspect is left."""
        in_both = self.counts[Verdict.SAME] + self.counts[Verdict.DIFFERENT]
        return TableResult(
            schema=self.ref.schema,
            table=self.ref.table,
            source_documents=in_both + self.counts[Verdict.MISSING],
            target_rows=in_both + self.counts[Verdict.EXTRA],
            missing=self.counts[Verdict.MISSING],
            extra=self.counts[Verdict.EXTRA],
            different=self.counts[Verdict.DIFFERENT],
            examples=tuple(self.examples),
            kept_rows=self.kept_rows,
            error=self.error,
            excluded=self.excluded,
        )
