"""One document and one row, each of which may be absent, as a verdict."""

from __future__ import annotations

from warp.change import Key
from warp.layouts import Form
from warp.sources.base import Document, Source, StoredRow
from warp.verify.result import Suspect, Verdict


def compare(
    source: Source, key: Key, document: Document | None, row: StoredRow | None, only: Form | None = None
) -> Verdict | Suspect:
    """The verdict where both sides agree, and where they do not, a suspect. The row is to be what the form makes of
    the document."""
    if document is None and row is None:
        return Verdict.ABSENT
    if document is None:
        return _suspect(Verdict.EXTRA, (), document, row)
    if row is None:
        return _suspect(Verdict.MISSING, (), document, row)
    fields = source.differences(document, key, row, only)
    return _suspect(Verdict.DIFFERENT, fields, document, row) if fields else Verdict.SAME


def _suspect(verdict: Verdict, fields: tuple[str, ...], document: Document | None, row: StoredRow | None) -> Suspect:
    # Both are plain data, so that their repr says all there is in them; the hash keeps memory small and values out.
    return Suspect(verdict=verdict, fields=fields, fingerprint=hash((repr(document), repr(row))))
