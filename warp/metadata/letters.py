"""`dead_letters`: changes that could not be applied, each with what became of it. Within the caller's transaction."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row

from warp.change import BEGINNING, Key, KeyKind, Operation, TableRef
from warp.errors import WarpError
from warp.metadata import audit
from warp.metadata.base import DeadLetter, LetterFilter, LetterState, StoredLetter
from warp.values import exact_string

_COLUMNS = (
    "id, schema_name, table_name, key::text, operation, position, ts, error_class, error, remedy, traceback, "
    "correlation_id, created_at, state, attempts, resolved_at"
)


def park(connection: psycopg.Connection, letters: Sequence[DeadLetter], *, each: bool) -> None:
    """Keep dead letters; the same change is kept once, and so is a document that a later load reads again.

    Of several changes of a document at one time, those of one source transaction, only the last is left open: nobody
    ever saw the states before it, and their time could not put them in order. `each`: all are, as each has its row.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE cartridge_warp.dead_letters SET state = 'superseded', resolved_at = now() "
            "WHERE schema_name = %s AND table_name = %s AND state = 'open' AND md5(key::text) = md5(%s::jsonb::text) "
            "AND ts = %s AND position < %s",
            [(*letter.ref, _key_json(letter.key), letter.ts, letter.position) for letter in letters if not each],
        )
        cursor.executemany(
            "INSERT INTO cartridge_warp.dead_letters AS held "
            "(schema_name, table_name, key, operation, position, ts, payload, error_class, error, remedy, traceback, "
            "correlation_id) "
            "VALUES (%s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (schema_name, table_name, md5(position), md5(key::text)) DO UPDATE SET "
            "ts = excluded.ts, error_class = excluded.error_class, error = excluded.error, remedy = excluded.remedy, "
            "traceback = excluded.traceback, correlation_id = excluded.correlation_id, created_at = now(), "
            "state = 'open', resolved_at = NULL, attempts = held.attempts + 1 WHERE held.ts < excluded.ts",
            [
                (
                    *letter.ref,
                    _key_json(letter.key),
                    letter.operation.value,
                    letter.position,
                    letter.ts,
                    letter.payload,
                    letter.error_class,
                    letter.error,
                    letter.remedy,
                    letter.traceback,
                    letter.correlation_id,
                )
                for letter in letters
            ],
        )


def any_open(connection: psycopg.Connection, ref: TableRef) -> bool:
    """Whether a table has open letters."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM cartridge_warp.dead_letters "
        "WHERE schema_name = %s AND table_name = %s AND state = 'open')",
        [*ref],
    ).fetchone()
    return row is not None and bool(row[0])


def supersede(
    connection: psycopg.Connection, ref: TableRef, states: Iterable[tuple[Key, int]], *, loads_only: bool
) -> int:
    """Settle the open letters of documents of which a later state was written: each up to its time; how many.

    `loads_only`: those of first loads alone.
    """
    keys, stamps = [], []
    for key, ts in states:
        keys.append(_key_json(key))
        stamps.append(ts)
    return connection.execute(
        "UPDATE cartridge_warp.dead_letters AS letter SET state = 'superseded', resolved_at = now() "
        "FROM unnest(%s::jsonb[], %s::bigint[]) AS written (key, ts) "
        "WHERE letter.schema_name = %s AND letter.table_name = %s AND letter.state = 'open' "
        "AND md5(letter.key::text) = md5(written.key::text) AND letter.key = written.key AND letter.ts <= written.ts "
        "AND (letter.position = %s OR NOT %s)",
        [keys, stamps, *ref, BEGINNING, loads_only],
    ).rowcount


def lock(connection: psycopg.Connection, number: int) -> StoredLetter | None:
    """Lock an open letter; None: it is not open, or there is none of that number."""
    found = _select(connection, ", payload", "WHERE id = %s AND state = 'open' FOR UPDATE", [number])
    return found[0] if found else None


def settle(connection: psycopg.Connection, number: int, state: LetterState) -> None:
    """Note what came of the replay of a locked letter."""
    _resolve(connection, number, state)
    _audit(connection, number, f"dead letter replayed: {state}")


def fail(connection: psycopg.Connection, number: int, error: WarpError, traceback: str) -> None:
    """Note that the replay of a locked letter failed."""
    connection.execute(
        "UPDATE cartridge_warp.dead_letters SET attempts = attempts + 1, error_class = %s, error = %s, remedy = %s, "
        "traceback = %s WHERE id = %s",
        [type(error).__name__, str(error), error.remedy, traceback, number],
    )
    _audit(connection, number, "dead letter replayed: failed again")


def discard(connection: psycopg.Connection, number: int) -> bool:
    """Give an open letter up; False: it is not open."""
    if lock(connection, number) is None:
        return False
    _resolve(connection, number, LetterState.DISCARDED)
    _audit(connection, number, "dead letter discarded")
    return True


def find(connection: psycopg.Connection, chosen: LetterFilter, limit: int | None) -> list[StoredLetter]:
    """The newest letters, without payloads."""
    conditions = {
        "id = ANY(%s)": None if chosen.numbers is None else list(chosen.numbers),
        "schema_name = %s": chosen.schema,
        "table_name = %s": chosen.table,
        "key ->> 'text' = %s": chosen.key,
        "(lower(error_class) = lower(%s) OR position(lower(%s) IN lower(error)) > 0)": chosen.error,
        "created_at <= now() - %s": chosen.older_than,
        "created_at >= now() - %s": chosen.newer_than,
        "state = %s": chosen.state,
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    values = [value for condition, value in given.items() for _ in range(condition.count("%s"))]
    where = f"WHERE {' AND '.join(given)}" if given else ""
    return _select(connection, "", f"{where} ORDER BY id DESC LIMIT %s", [*values, limit])


def one(connection: psycopg.Connection, number: int) -> StoredLetter | None:
    """A letter with its payload."""
    found = _select(connection, ", payload", "WHERE id = %s", [number])
    return found[0] if found else None


def newest_open(connection: psycopg.Connection, schema: str, limit: int) -> dict[int, TableRef]:
    """Numbers and tables of open letters."""
    rows = connection.execute(
        "SELECT id, schema_name, table_name FROM cartridge_warp.dead_letters "
        "WHERE schema_name = %s AND state = 'open' ORDER BY id DESC LIMIT %s",
        [schema, limit],
    )
    return {number: TableRef(schema, table) for number, schema, table in rows}


def _resolve(connection: psycopg.Connection, number: int, state: LetterState) -> None:
    connection.execute(
        "UPDATE cartridge_warp.dead_letters SET state = %s, resolved_at = now(), attempts = attempts + %s "
        "WHERE id = %s",
        [state, int(state is LetterState.APPLIED), number],
    )


def _audit(connection: psycopg.Connection, number: int, action: str) -> None:
    row = connection.execute(
        "SELECT schema_name, table_name, operation, position, attempts FROM cartridge_warp.dead_letters WHERE id = %s",
        [number],
    ).fetchone()
    assert row is not None
    schema, table, operation, position, attempts = row
    detail = {"letter": number, "operation": operation, "position": position, "attempts": attempts}
    audit.record(connection, schema, table, action, detail)


def _select(connection: psycopg.Connection, more: str, condition: str, values: Sequence[object]) -> list[StoredLetter]:
    query = f"SELECT {_COLUMNS}{more} FROM cartridge_warp.dead_letters {condition}"
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_stored(row) for row in cursor.execute(query.encode(), values)]


def _stored(row: Mapping[str, Any]) -> StoredLetter:
    letter = DeadLetter(
        ref=TableRef(row["schema_name"], row["table_name"]),
        key=_key(orjson.loads(row["key"])),
        operation=Operation(row["operation"]),
        position=row["position"],
        ts=row["ts"],
        payload=row.get("payload", b""),
        error_class=row["error_class"],
        error=row["error"],
        remedy=row["remedy"],
        traceback=row["traceback"],
        correlation_id=row["correlation_id"],
    )
    return StoredLetter(
        number=row["id"],
        letter=letter,
        state=LetterState(row["state"]),
        attempts=row["attempts"],
        parked_at=row["created_at"],
        resolved_at=row["resolved_at"],
    )


def _key_json(key: Key) -> str:
    return orjson.dumps({"kind": key.kind.value, "text": exact_string(key.text)}).decode()


def _key(held: Mapping[str, Any]) -> Key:
    text = held["text"]
    if isinstance(text, dict):  # what `exact_string` made of it
        text = str(base64.b64decode(text["$utf8"]), "utf-8", "surrogateescape")
    return Key(KeyKind(held["kind"]), text)
