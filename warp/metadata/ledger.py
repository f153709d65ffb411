"""`extra_values`: how many values were kept in `_extra`, by table, field and reason. Within the caller's transaction.

Each row has one writer at a time: whoever has the partition's marker, or the lock of a share of the first loads. So
what partitions of one table count at once never waits for one another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import psycopg

from warp.change import TableRef
from warp.destinations.postgresql.names import extra_name, field_name
from warp.metadata.base import LEDGER_FIELDS, LEDGER_NAME_BYTES, KeptValues

_LOAD_SHARES = 16
"""Chunks loaded at once rarely share one, and where they do, one waits for the other's commit."""


def share_of_chunk(chunk: int) -> int:
    """The share in which a chunk of a first load counts."""
    return -1 - chunk % _LOAD_SHARES


def count(connection: psycopg.Connection, ref: TableRef, share: int, kept: Mapping[tuple[str, str], int]) -> None:
    """Add to what was kept, by field and reason. The caller has the lock of the partition or chunk `share` is of."""
    if not kept:
        return
    if share < 0:
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('extra ' || %s || ' ' || %s, 0))", [str(ref), share]
        )
    counts: Counter[tuple[str | None, str]] = Counter()
    for (field, reason), values in kept.items():
        name = extra_name(field)
        counts[name if len(name.encode()) <= LEDGER_NAME_BYTES else None, reason] += values
    added = set(connection.execute(_ADD, [*_columns(counts), *ref, share]).fetchall())
    missing = Counter({place: values for place, values in counts.items() if place not in added})
    if missing:
        _insert(connection, ref, share, missing)


def of_schema(connection: psycopg.Connection, schema: str) -> dict[str, list[KeptValues]]:
    """What was kept, by table; of each the most frequent first."""
    found = connection.execute(_OF_SCHEMA, [schema])
    tables: dict[str, list[KeptValues]] = defaultdict(list)
    for table, field, reason, values, first_at, last_at in found:
        name = None if field is None else field_name(field)
        tables[table].append(
            KeptValues(field=name, reason=reason, values=int(values), first_at=first_at, last_at=last_at)
        )
    return dict(tables)


def forget(connection: psycopg.Connection, ref: TableRef) -> None:
    """The table is gone, and with it what was counted."""
    connection.execute("DELETE FROM cartridge_warp.extra_values WHERE schema_name = %s AND table_name = %s", [*ref])


def _insert(
    connection: psycopg.Connection, ref: TableRef, share: int, counts: Mapping[tuple[str | None, str], int]
) -> None:
    """Begin to count what this share has not counted before; fields beyond LEDGER_FIELDS together."""
    told = {
        field
        for (field,) in connection.execute(
            "SELECT DISTINCT field FROM cartridge_warp.extra_values "
            "WHERE schema_name = %s AND table_name = %s AND field IS NOT NULL",
            [*ref],
        )
    }
    admitted: Counter[tuple[str | None, str]] = Counter()
    for (field, reason), values in counts.items():
        if field is not None and field not in told and len(told) < LEDGER_FIELDS:
            told.add(field)
        admitted[field if field in told else None, reason] += values
    connection.execute(_INSERT, [*ref, share, *_columns(admitted)])


def _columns(counts: Mapping[tuple[str | None, str], int]) -> tuple[list[str | None], list[str], list[int]]:
    return [field for field, _ in counts], [reason for _, reason in counts], list(counts.values())


_NEW = "unnest(%s::text[], %s::text[], %s::bigint[]) AS new (field, reason, added)"
_ADD = (
    "UPDATE cartridge_warp.extra_values AS held SET values_kept = values_kept + new.added, last_at = now() "
    f"FROM {_NEW} WHERE held.schema_name = %s AND held.table_name = %s AND held.share = %s "
    "AND (held.field IS NULL) = (new.field IS NULL) AND coalesce(held.field, '') = coalesce(new.field, '') "
    "AND held.reason = new.reason RETURNING new.field, new.reason"
)
_INSERT = (
    "INSERT INTO cartridge_warp.extra_values AS held "
    "(schema_name, table_name, share, field, reason, values_kept) "
    f"SELECT %s, %s, %s, new.field, new.reason, new.added FROM {_NEW} "
    "ON CONFLICT (schema_name, table_name, share, (field IS NULL), coalesce(field, ''), reason) "
    "DO UPDATE SET values_kept = held.values_kept + excluded.values_kept, last_at = now()"
)
_OF_SCHEMA = (
    "SELECT table_name, field, reason, sum(values_kept), min(first_at), max(last_at) "
    "FROM cartridge_warp.extra_values WHERE schema_name = %s GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3"
)
