"""Tables of a real PostgreSQL as they are made and widened, by several at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from tests.integration.tables import TABLE, columns, fitted, key
from tests.support.wait import eventually
from warp.change import Delete, Key, KeyKind, Record, Write
from warp.destinations.postgresql import ddl
from warp.destinations.postgresql.destination import PostgresDestination
from warp.errors import Fatal
from warp.evolution.infer import Seen
from warp.evolution.rules import DEFAULT, Rules

INT_KEYS = (Key(KeyKind.INT, "5"),)


def seen(*records: Record) -> Seen:
    """What records bring to a table that does not exist."""
    seen = Seen()
    seen.add_keys([key("any")])
    seen.add_records(records, None)
    return seen


@contextmanager
def evolving_first(pg_dsn: str, postgresql: psycopg.Connection, *records: Record) -> Iterator[None]:
    """Somebody else evolves the table; in the block this has not committed, and after it once another one waits."""
    with psycopg.connect(pg_dsn) as connection:
        ddl.evolve(connection, TABLE, seen(*records), DEFAULT, cause="first")
        yield
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        eventually(lambda: postgresql.execute(waiting).fetchone() != (0,), what="a wait for the first one")


def test_two_that_make_the_same_table_agree(
    destination: PostgresDestination, pg_dsn: str, postgresql: psycopg.Connection
) -> None:
    with ThreadPoolExecutor(1) as thread:
        with evolving_first(pg_dsn, postgresql, {"n": 1}):
            second = thread.submit(destination.evolve, TABLE, seen({"n": 1}), DEFAULT, cause="second")
        assert not second.result(30).changes
    assert destination.tables(TABLE.schema)[TABLE.table].version == 1


@pytest.mark.parametrize("exists", [False, True])
def test_two_that_bring_different_fields_both_get_their_columns(
    exists: bool, destination: PostgresDestination, pg_dsn: str, postgresql: psycopg.Connection
) -> None:
    if exists:
        fitted(destination, {"before": 1})
    with ThreadPoolExecutor(1) as thread:
        with evolving_first(pg_dsn, postgresql, {"n": 1, "both": 1}):
            brought = seen({"m": "text", "both": 1})
            second = thread.submit(destination.evolve, TABLE, brought, DEFAULT, cause="second")
        assert [column.name for column in second.result(30).new_columns] == ["m"]
    expected = {"n": "bigint", "both": "bigint", "m": "text"}
    own = {"_id": "text", "_warp_ts": "bigint", "_extra": "jsonb"}
    assert columns(postgresql) == own | ({"before": "bigint"} if exists else {}) | expected


def test_many_at_once(destination: PostgresDestination, postgresql: psycopg.Connection, pg_dsn: str) -> None:
    def bring(number: int) -> None:
        own = PostgresDestination(pg_dsn)
        own.evolve(TABLE, seen({f"f{number}": 1, "both": 1}), Rules(soft_delete=number % 2 == 0), cause="many")
        own.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(bring, range(8)))
    assert {f"f{number}" for number in range(8)} | {"both", "is_deleted"} <= columns(postgresql).keys()
    shape = destination.tables(TABLE.schema)[TABLE.table]
    assert shape.columns.keys() == {f"f{number}" for number in range(8)} | {"both"}


def test_a_shape_stands_still_under_a_transaction_that_uses_it(
    destination: PostgresDestination, another: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    fitted(destination, {"n": 1})
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    with ThreadPoolExecutor(1) as thread:
        with destination.transaction() as transaction:
            shape = transaction.shape(TABLE)
            assert shape is not None
            widening = thread.submit(another.evolve, TABLE, seen({"m": 1}), DEFAULT, cause="other")
            eventually(lambda: postgresql.execute(waiting).fetchone() == (1,), what="a wait for the table")
            transaction.upsert(TABLE, shape, [Write(key("a"), 1, {"n": 1})])
        assert widening.result(30).changes
    with destination.transaction() as transaction:
        newer = transaction.shape(TABLE)
        assert newer is not None
        assert newer.columns.keys() == {"n", "m"}
        transaction.upsert(TABLE, newer, [Write(key("b"), 1, {"n": 2, "m": 3})])


@pytest.mark.parametrize("what", ["TABLE {} (mine int)", "VIEW {} AS SELECT 1 AS mine", "SEQUENCE {}"])
def test_what_somebody_else_made_is_never_touched(
    what: str, destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    postgresql.execute(f'CREATE SCHEMA "{TABLE.schema}"')
    postgresql.execute(f"CREATE {what}".format(f'"{TABLE.schema}"."{TABLE.table}"').encode())
    with pytest.raises(Fatal, match=TABLE.table) as refused:
        fitted(destination, {"n": 1})
    assert refused.value.remedy
    assert destination.tables(TABLE.schema) == {}
    assert "_id" not in columns(postgresql)


def test_keys_of_another_kind_widen_the_key_column(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    keys = [Key(KeyKind.INT, text) for text in ("5", "-7", str(2**63 - 1))]
    shape = fitted(destination, {"n": 1}, keys=INT_KEYS)
    with destination.transaction() as transaction:
        transaction.upsert(TABLE, shape, [Write(each, 1, {"n": 1}) for each in keys])
    assert columns(postgresql)["_id"] == "bigint"
    others = [
        Key(KeyKind.STRING, "5"),
        Key(KeyKind.OBJECT_ID, "0" * 24),
        Key(KeyKind.STRING, "0" * 24),
        Key(KeyKind.JSON, '{"a":{"$numberLong":"5"}}'),
        Key(KeyKind.STRING, '{"a":{"$numberLong":"5"}}'),
        Key(KeyKind.STRING, ""),
        Key(KeyKind.STRING, "null"),
        Key(KeyKind.JSON, "null"),
        Key(KeyKind.STRING, "zero\0byte"),
    ]
    shape = fitted(destination, {"n": 1}, keys=tuple(others))
    with destination.transaction() as transaction:
        transaction.upsert(TABLE, shape, [Write(each, 1, {"n": 2}) for each in others])
    assert columns(postgresql)["_id"] == "text"
    assert {each for batch in destination.keys(TABLE) for each in batch} == {*keys, *others}
    found = destination.rows(TABLE, [*keys, *others])
    assert found == {each: {"n": 1} for each in keys} | {each: {"n": 2} for each in others}
    with destination.transaction() as transaction:
        gone = [Delete(each, 2) for each in (keys[0], *others)]
        assert transaction.delete(TABLE, shape, gone, soft=False, tombstones=False).deleted == len(gone)
    assert destination.count(TABLE) == 2


def test_soft_deletion_marks_and_a_newer_write_unmarks(
    destination: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    fitted(destination, {"n": 1})
    shape = destination.evolve(TABLE, seen({"n": 1}), Rules(soft_delete=True), cause="configured").after
    at = 1_600_000_000
    row = f'SELECT is_deleted, extract(epoch FROM deleted_at)::bigint FROM "{TABLE.schema}"."{TABLE.table}"'

    def put(ts: int) -> int:
        with destination.transaction() as transaction:
            return transaction.upsert(TABLE, shape, [Write(key("a"), ts, {"n": ts})]).upserted

    def remove(ts: int) -> int:
        with destination.transaction() as transaction:
            return transaction.delete(TABLE, shape, [Delete(key("a"), ts)], soft=True, tombstones=False).deleted

    put(at << 31)
    assert postgresql.execute(row).fetchone() == (False, None)
    assert remove((at + 1) << 31) == 1
    assert remove((at + 1) << 31) == 0
    assert postgresql.execute(row).fetchone() == (True, at + 1)
    assert destination.count(TABLE) == 0
    assert destination.rows(TABLE, [key("a")]) == {}
    assert list(destination.keys(TABLE)) in ([], [[]])
    assert put(at << 31) == 0, "an older write does not bring it back"
    assert put((at + 2) << 31) == 1
    assert postgresql.execute(row).fetchone() == (False, None)
