"""What PostgreSQL really says, and what is made of it: things that pass, poison, and what a person must mend."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.integration.tables import PARTITION, TABLE, delete, fitted, key, open_snapshot, save, writes_of
from tests.support.postgresql import limited_role, migrated_database
from tests.support.wait import eventually
from warp.change import Delete
from warp.destinations.base import OnDrop, Written
from warp.destinations.postgresql.destination import PostgresDestination, open_destination
from warp.embedded import EmbeddedServers
from warp.errors import Fatal, Poison, Refused, ServerUnreachable, Transient, WarpError
from warp.retry import Response, response, stops_table
from workers.write import write_all


@pytest.fixture
def saved(destination: PostgresDestination) -> PostgresDestination:
    """A table with a row, written over a connection that stays."""
    save(destination, 10, a={"n": 1})
    return destination


def written_by_hand(connection: psycopg.Connection, statement: str) -> None:
    connection.execute(statement.encode())


def test_a_table_that_somebody_locked_is_waited_for(
    destination: PostgresDestination, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 100)
    save(destination, 10, a={"n": 1})
    with psycopg.connect(pg_dsn) as connection:
        written_by_hand(connection, "LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Transient, match="lock timeout"):
            save(destination, 11, a={"n": 2})
    assert save(destination, 11, a={"n": 2}) == Written(upserted=1)


def test_a_statement_that_takes_too_long_is_tried_again(
    destination: PostgresDestination, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.STATEMENT_TIMEOUT_MS", 100)
    save(destination, 10, a={"n": 1})
    with psycopg.connect(pg_dsn) as connection:
        written_by_hand(connection, "SELECT * FROM shop.orders FOR UPDATE")
        with pytest.raises(Transient, match="statement timeout"):
            save(destination, 11, a={"n": 2})
    assert save(destination, 11, a={"n": 2}) == Written(upserted=1)


def test_of_two_that_deadlock_one_is_tried_again(saved: PostgresDestination, another: PostgresDestination) -> None:
    save(saved, 10, b={"n": 1})
    shape = fitted(saved, {"n": 1})
    both = threading.Barrier(2)
    met: list[WarpError] = []

    def step(destination: PostgresDestination, first: str, second: str) -> None:
        try:
            with destination.transaction() as transaction:
                transaction.upsert(TABLE, shape, writes_of(20, {first: {"n": 2}}))
                both.wait(30)
                transaction.upsert(TABLE, shape, writes_of(20, {second: {"n": 2}}))
        except WarpError as error:
            met.append(error)

    threads = [threading.Thread(target=step, args=work) for work in ((saved, "a", "b"), (another, "b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [error] = met
    assert isinstance(error, Transient)
    assert "deadlock" in str(error)


def test_a_backend_that_is_terminated_within_a_transaction_is_connected_again(
    saved: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    def step() -> None:
        with saved.transaction() as transaction:
            transaction.lock_partition(PARTITION)
            postgresql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND state = 'idle in transaction'"
            )
            transaction.shape(TABLE)

    with pytest.raises(WarpError) as raised:
        step()
    assert response(raised.value) is Response.WAIT
    assert save(saved, 11, a={"n": 2}) == Written(upserted=1)


def test_a_server_that_only_reads_is_waited_for_over_a_new_connection(
    saved: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    database = sql.Identifier(postgresql.info.dbname)
    with saved.transaction() as transaction:
        transaction.shape(TABLE)
    postgresql.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(database))
    saved.close()
    with pytest.raises(Transient, match="read-only"):
        save(saved, 11, a={"n": 2})
    postgresql.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(database))
    # Nobody closed the old connection, which would still only read.
    assert save(saved, 11, a={"n": 2}) == Written(upserted=1)


@pytest.mark.parametrize(
    ("by_hand", "undone", "remedy"),
    [
        ("DROP COLUMN n", "ADD COLUMN n bigint", "a column was dropped or renamed"),
        ("RENAME COLUMN n TO m", "RENAME COLUMN m TO n", "a column was dropped or renamed"),
        ("ALTER COLUMN n TYPE boolean USING true", "ALTER COLUMN n TYPE bigint USING 1", "a column's type was altered"),
        ("DROP CONSTRAINT orders_pkey", "ADD PRIMARY KEY (_id)", "the primary key was dropped"),
        ("RENAME TO gone", "", "the table was dropped or renamed"),
        (
            "ALTER COLUMN n SET NOT NULL, ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY",
            "ALTER COLUMN n DROP IDENTITY",
            "a column was made a generated one",
        ),
    ],
)
def test_a_table_that_was_altered_by_hand_says_what_to_do_until_that_is_undone(
    by_hand: str, undone: str, remedy: str, saved: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    written_by_hand(postgresql, f"ALTER TABLE shop.orders {by_hand}")
    for _ in range(2):
        with pytest.raises(Fatal) as raised:
            save(saved, 11, a={"n": 2})
        assert response(raised.value) is Response.BLOCK
        assert (raised.value.remedy or "").startswith(remedy)
    written_by_hand(
        postgresql, f"ALTER TABLE shop.orders {undone}" if undone else "ALTER TABLE shop.gone RENAME TO orders"
    )
    assert save(saved, 11, a={"n": 2}) == Written(upserted=1)


def test_a_view_in_the_tables_place_says_so(saved: PostgresDestination, postgresql: psycopg.Connection) -> None:
    written_by_hand(postgresql, "ALTER TABLE shop.orders RENAME TO others")
    written_by_hand(postgresql, "CREATE VIEW shop.orders AS SELECT _id, n FROM shop.others")
    with pytest.raises(Fatal) as raised:
        save(saved, 11, a={"n": 2})
    assert response(raised.value) is Response.BLOCK


def test_a_column_that_was_added_by_hand_under_a_name_that_is_needed_says_so(
    saved: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    written_by_hand(postgresql, "ALTER TABLE shop.orders ADD COLUMN m text")
    with pytest.raises(Fatal) as raised:
        save(saved, 11, a={"n": 2, "m": 3})
    assert (raised.value.remedy or "").startswith("a column was added by hand")


@pytest.mark.parametrize(
    ("by_hand", "says"),
    [
        ("ADD CONSTRAINT small CHECK (n < 5)", 'CheckViolation: the row breaks the constraint "small" of its table'),
        ("ALTER COLUMN n SET NOT NULL", 'NotNullViolation: the column "n" takes no NULL'),
        (
            "ADD CONSTRAINT distinct_n UNIQUE (n)",
            'UniqueViolation: the row breaks the constraint "distinct_n" of its table',
        ),
    ],
)
def test_a_constraint_that_was_added_by_hand_is_named_and_keeps_only_what_breaks_it_out(
    by_hand: str, says: str, saved: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    written_by_hand(postgresql, f"ALTER TABLE shop.orders {by_hand}")
    shape = fitted(saved, {"n": 1})
    breaking = {"CheckViolation": {"n": 7}, "NotNullViolation": {}, "UniqueViolation": {"n": 1}}[says.partition(":")[0]]
    documents = {**{f"good{number}": {"n": number - 100} for number in range(20)}, "bad": breaking}
    with saved.transaction() as transaction:
        written, poison = write_all(
            lambda writes: transaction.upsert(TABLE, shape, writes),
            writes_of(11, documents),  # type: ignore[arg-type]
        )
    assert written.upserted == 20
    [(write, error)] = poison
    assert (write.key, str(error)) == (key("bad"), says)
    assert "dlq replay" in (error.remedy or "")


def test_a_delete_that_a_foreign_key_refuses_is_set_apart(
    saved: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    save(saved, 10, b={"n": 1}, c={"n": 1})
    written_by_hand(postgresql, "CREATE TABLE shop.lines (orders text REFERENCES shop.orders)")
    written_by_hand(postgresql, "INSERT INTO shop.lines VALUES ('b')")
    shape = fitted(saved, {"n": 1})
    with saved.transaction() as transaction:
        written, poison = write_all(
            lambda deletes: transaction.delete(TABLE, shape, deletes, soft=False, tombstones=True),
            [Delete(key(name), 11) for name in "abc"],
        )
    assert written.deleted == 2
    [(refused, error)] = poison
    assert (refused.key, isinstance(error, Poison)) == (key("b"), True)
    assert delete(saved, 11, "a") == Written(stale=1)


def test_a_truncate_that_a_foreign_key_refuses_stops_the_table(
    saved: PostgresDestination, postgresql: psycopg.Connection
) -> None:
    open_snapshot(saved)
    written_by_hand(postgresql, "CREATE TABLE shop.lines (orders text REFERENCES shop.orders)")
    written_by_hand(postgresql, "INSERT INTO shop.lines VALUES ('a')")
    with pytest.raises(WarpError) as raised:
        saved.drop(TABLE, 20, OnDrop.TRUNCATE, soft=False, cause="test")
    assert stops_table(raised.value)
    assert "lines_orders_fkey" in str(raised.value)
    written_by_hand(postgresql, "DROP TABLE shop.lines")
    assert saved.drop(TABLE, 20, OnDrop.TRUNCATE, soft=False, cause="test")


def test_a_trigger_that_raises_refuses_its_row(saved: PostgresDestination, postgresql: psycopg.Connection) -> None:
    written_by_hand(
        postgresql,
        "CREATE FUNCTION shop.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no %', NEW.n; END $$",
    )
    written_by_hand(
        postgresql,
        "CREATE TRIGGER no BEFORE INSERT ON shop.orders FOR EACH ROW WHEN (NEW.n > 5) EXECUTE FUNCTION shop.no()",
    )
    with pytest.raises(Poison) as raised:
        save(saved, 11, b={"n": 41_414})
    assert "41414" not in str(raised.value)
    assert save(saved, 11, b={"n": 5}) == Written(upserted=1)


@pytest.fixture
def role(pg_dsn: str) -> Iterator[str]:
    """A role that may use the metadata, and nothing else yet."""
    with limited_role(pg_dsn) as name:
        yield name


def test_a_missing_privilege_is_named_until_it_is_granted(
    role: str, pg_dsn: str, postgresql: psycopg.Connection
) -> None:
    limited = open_destination(pg_dsn.replace("postgres@", f"{role}@"))

    def grant(statement: str) -> None:
        postgresql.execute(
            sql.SQL(statement).format(role=sql.Identifier(role), db=sql.Identifier(postgresql.info.dbname))
        )

    with pytest.raises(Fatal, match="permission denied for database") as raised:
        save(limited, 10, a={"n": 1})
    assert "CREATE on the database" in (raised.value.remedy or "")
    grant("GRANT CREATE ON DATABASE {db} TO {role}")
    save(limited, 10, a={"n": 1})

    grant("REVOKE INSERT ON shop.orders FROM {role}")
    with pytest.raises(Fatal, match="permission denied for table orders") as raised:
        save(limited, 11, a={"n": 2})
    assert response(raised.value) is Response.BLOCK
    grant("GRANT INSERT ON shop.orders TO {role}")
    assert save(limited, 11, a={"n": 2}) == Written(upserted=1)
    limited.close()


def test_a_user_or_a_database_that_is_not_there_is_refused(pg_dsn: str) -> None:
    for dsn in (pg_dsn.replace("postgres@", "nobody@"), f"{pg_dsn}_gone"):
        destination = open_destination(dsn)
        with pytest.raises(Refused, match="does not exist") as raised:
            destination.require_migrated()
        assert raised.value.remedy
        destination.close()


def test_a_wrong_password_is_refused_and_not_shown(own_servers: EmbeddedServers) -> None:
    dsn = migrated_database(own_servers)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE warp LOGIN PASSWORD 'right'")
        connection.execute("GRANT USAGE ON SCHEMA cartridge_warp TO warp")
        connection.execute("GRANT SELECT ON cartridge_warp.migrations TO warp")
        [file] = connection.execute("SELECT setting FROM pg_settings WHERE name = 'hba_file'").fetchone() or [""]
        rules = Path(file)
        rules.write_text(f"host all warp 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        connection.execute("SELECT pg_reload_conf()")

        def refused() -> Refused | None:
            destination = open_destination(dsn.replace("postgres@", "warp:hunter2@"))
            try:
                destination.require_migrated()
            except Refused as error:
                return error
            finally:
                destination.close()
            return None

        error = eventually(refused, what="a wrong password refused")
        assert "password authentication failed" in str(error)
        assert "hunter2" not in str(error)
        destination = open_destination(dsn.replace("postgres@", "warp:right@"))
        destination.require_migrated()
        destination.close()


def test_a_server_that_is_stopped_is_unreachable(own_servers: EmbeddedServers) -> None:
    destination = open_destination(migrated_database(own_servers))
    save(destination, 10, a={"n": 1})
    own_servers.postgresql.stop("immediate")
    with pytest.raises((ServerUnreachable, Transient)):
        save(destination, 11, a={"n": 2})
    with pytest.raises(ServerUnreachable):
        save(destination, 11, a={"n": 2})
    own_servers.postgresql.start()
    assert save(destination, 11, a={"n": 2}) == Written(upserted=1)
    destination.close()
