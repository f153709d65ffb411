"""Fields' names as the names of columns: legal, stable, and never two fields in one column.

A name that is legal and free is its column's name: dots, quotes, spaces and capitals are legal, and names that differ
only in case are two names. That of a field inside of an object is all of its names with `_` between them: `a_b`. Any
other one becomes a readable head, `_` and 8 hexadecimal digits of the name's SHA-256.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from hashlib import sha256
from itertools import count

from warp.change import PATH

MAX_NAME_BYTES = 63
"""PostgreSQL truncates longer identifiers silently (NAMEDATALEN - 1)."""

OWN = frozenset({"_id", "_warp_ts", "_extra", "is_deleted", "deleted_at"})
SYSTEM = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
"""PostgreSQL's own columns (manual, "System Columns"), and `oid`, which was one up to version 11."""
RESERVED = OWN | SYSTEM

_DIGITS = 8


def column_name(field: str, taken: Container[str]) -> str:
    """The column of a field that has none yet, in a table that has the columns `taken`."""
    name = plain_name(field)
    if is_legal(name) and name not in RESERVED and name not in taken:
        return name
    return next(name for name in _hashed(field) if name not in taken)


def plain_name(field: str) -> str:
    """What a field's column is called where nothing stands in the way."""
    return field.replace(PATH, "_")


def _hashed(field: str) -> Iterator[str]:
    """The names for a field that cannot have its own; the first one is nearly always free."""
    encoded = name_bytes(field)
    start = head(plain_name(field), MAX_NAME_BYTES - _DIGITS - 1)
    for attempt in count():
        salt = b"\0%d" % attempt if attempt else b""
        yield f"{start}_{sha256(encoded + salt).hexdigest()[:_DIGITS]}"


def is_legal(name: str) -> bool:
    """Whether a name can stand as an identifier as it is, reserved or not."""
    try:
        return 0 < len(name.encode()) <= MAX_NAME_BYTES and "\0" not in name
    except UnicodeEncodeError:
        return False


def head(name: str, most: int) -> str:
    """What can be shown of a name in at most so many bytes: NUL, and bytes that are not UTF-8, are left out."""
    encoded = name.replace("\0", "").encode("utf-8", "ignore")
    return encoded[:most].decode("utf-8", "ignore")


def name_bytes(name: str) -> bytes:
    """The bytes that a name was decoded from, also where they are not UTF-8."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")
