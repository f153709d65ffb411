"""PostgreSQL: crashed, a session ended in mid-transaction, a table locked, statements that take too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Connection, errors, sql

from tests.chaos.faults.fault import Fault, pick, seconds, which
from tests.chaos.rig import Rig
from tests.support.wait import eventually

_STEP_SECONDS = 10.0
"""How long to wait for a transaction to end."""
_FLEET = "application_name = 'cartridge-warp' AND pid <> pg_backend_pid()"
_OF_WORKERS = (
    "SELECT pid FROM pg_locks WHERE relation = 'cartridge_warp.sync_markers'::regclass "
    "AND mode = 'RowShareLock' AND granted"
)


def _crash(rig: Rig, away: float) -> str:
    server = rig.servers.postgresql
    server.stop("immediate")
    rig.pause(away)
    server.start()
    return "postgresql"


def _terminate(rig: Rig) -> str:
    """A worker's session, while its transaction holds a marker."""
    with rig.postgresql() as connection:

        def terminated() -> list[int]:
            query = (
                f"SELECT pid FROM (SELECT pid, pg_terminate_backend(pid) FROM ({_OF_WORKERS} LIMIT 1) AS one) AS them"
            )
            return [pid for (pid,) in connection.execute(query.encode())]

        [pid] = eventually(terminated, _STEP_SECONDS, what="a transaction of a worker")
    return f"backend {pid}"


def _lock(rig: Rig, table: int, lasting: float) -> str:
    with rig.postgresql(autocommit=False) as connection:
        name = _lock_one(connection, table)
        rig.pause(lasting)
    return name


def _time_out(rig: Rig, table: int, lasting: float, limit: float) -> str:
    """Statements of new sessions may take a fraction of a second, and one table is locked for longer."""
    with rig.postgresql() as connection, _impatient(connection, limit), rig.postgresql(autocommit=False) as locking:
        name = _lock_one(locking, table)
        rig.pause(lasting)
    return name


@contextmanager
def _impatient(connection: Connection, limit: float) -> Iterator[None]:
    # The fleet's sessions bring a statement_timeout of their own, which only a trigger on login can overrule.
    shorten = (
        "CREATE FUNCTION public.chaos_impatient() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF current_setting('application_name') = 'cartridge-warp' THEN "
        f"PERFORM set_config('statement_timeout', '{limit * 1000:.0f}', false); END IF; END $$"
    )
    connection.execute(shorten.encode())
    connection.execute("CREATE EVENT TRIGGER chaos_impatient ON login EXECUTE FUNCTION public.chaos_impatient()")
    try:
        _reconnect(connection)
        yield
    finally:
        connection.execute("DROP EVENT TRIGGER chaos_impatient")
        connection.execute("DROP FUNCTION public.chaos_impatient()")
        _reconnect(connection)


def _reconnect(connection: Connection) -> None:
    connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_FLEET}".encode())


_TABLES = (
    "SELECT schema_name, target_name FROM cartridge_warp.sync_tables "
    "WHERE to_regclass(format('%I.%I', schema_name, target_name)) IS NOT NULL ORDER BY 1, 2"
)


def _lock_one(connection: Connection, place: int) -> str:
    """Lock one of the mirrored tables, until the transaction ends."""
    while True:
        schema, table = pick(connection.execute(_TABLES.encode()).fetchall(), place)
        lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(schema, table))
        try:
            connection.execute(lock)
        except errors.UndefinedTable:
            connection.rollback()  # its collection was dropped, and so was it
        else:
            return f"{schema}.{table}"


FAULTS = (
    Fault("postgresql-crash", _crash, {"away": seconds(0, 3)}),
    Fault("postgresql-terminate", _terminate, {}),
    Fault("postgresql-lock", _lock, {"table": which, "lasting": seconds(1, 13)}),
    Fault("postgresql-timeout", _time_out, {"table": which, "lasting": seconds(1, 4), "limit": seconds(0.1, 0.5)}),
)
