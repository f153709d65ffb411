"""`status` over real servers: states, lag, backlog and counters, and what it says while a server is away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.support.fleet import Fleet
from tests.support.refused import refusing_port
from warp.change import TS_COUNTER_BITS, Key, KeyKind, Operation, Partition, TableRef
from warp.config import load_config
from warp.connections import Connections, open_connections
from warp.errors import ConfigurationError, ExitCode, Fatal
from warp.evolution.infer import Seen
from warp.evolution.naming import column_name
from warp.evolution.rules import DEFAULT
from warp.metadata.base import DeadLetter
from warp.monitoring.status import SchemaStatus, State, TableStatus
from warp.monitoring.survey import read_status
from warp.sources.base import Chunk, SourceTable, StreamPoint
from warp.transport.base import Entry

Read = Callable[[], SchemaStatus]


@pytest.fixture
def connections(config_file: ConfigFile) -> Iterator[Connections]:
    connections = open_connections(load_config(config_file(), {}))
    yield connections
    connections.close()


@pytest.fixture
def read(connections: Connections, config_file: ConfigFile) -> Read:
    """The status of the only schema."""
    config = load_config(config_file(), {})

    def read() -> SchemaStatus:
        [status] = read_status(config, connections, None)
        return status

    return read


@pytest.fixture
def begun(connections: Connections, database: Database[dict[str, Any]]) -> str:
    """A schema whose stream was opened just now, with one table to be loaded; its name."""
    ts = connections.source.now()
    tables = [SourceTable(name="items", documents=70, size_bytes=7000)]
    start = StreamPoint(position="01", ts=ts)
    connections.destination.metadata.begin_schema(database.name, start, tables, {"items": 2})
    return database.name


def only_table(status: SchemaStatus) -> TableStatus:
    [table] = status.tables
    return table


def entry(schema: str, changes: int, payload: bytes) -> Entry:
    return Entry(
        partition=Partition(schema, "items", 1, 2),
        prev="",
        last="02",
        changes=changes,
        epoch="e",
        correlation_id="c",
        payload=payload,
    )


def test_a_schema_whose_stream_was_never_opened_is_new(read: Read) -> None:
    status = read()

    assert (status.state, status.lag_seconds, status.backlog_changes, status.tables) == (State.NEW, None, 0, ())
    assert status.notes == ()


def test_a_first_load_goes_from_planned_over_loading_to_streaming(
    connections: Connections, begun: str, read: Read
) -> None:
    metadata, ref = connections.destination.metadata, TableRef(begun, "items")
    status = read()
    assert (status.state, only_table(status).state) == (State.LOADING, State.PLANNED)
    assert (only_table(status).documents_estimate, only_table(status).lag_seconds) == (70, None)

    metadata.add_chunks(ref, [Chunk(lower=None, upper=b"x"), Chunk(lower=b"x", upper=None)])
    with connections.destination.transaction() as transaction:
        assert transaction.lock_chunk(ref, 1)
        transaction.shrink_chunk(ref, 1, b"w", 40, first=b"a")
        transaction.finish_chunk(ref, 1)
    status = read()
    table = only_table(status)
    assert (status.state, table.state) == (State.LOADING, State.LOADING)
    assert (table.rows_loaded, table.chunks, table.chunks_loaded) == (40, 2, 1)

    with connections.destination.transaction() as transaction:
        assert transaction.lock_chunk(ref, 2)
        transaction.finish_chunk(ref, 2)
    metadata.close_snapshot(ref)
    status = read()
    assert (status.state, only_table(status).state) == (State.STREAMING, State.STREAMING)
    assert only_table(status).lag_seconds == 0


def test_backlog_changes_applied_and_dead_letters_are_counted(connections: Connections, begun: str, read: Read) -> None:
    ref = TableRef(begun, "items")
    connections.logs.append([entry(begun, 3, b"x" * 50), entry(begun, 2, b"y" * 20)])
    partition = Partition(begun, "items", 1, 2)
    letter = DeadLetter(
        ref=ref,
        key=Key(KeyKind.INT, "1"),
        operation=Operation.INSERT,
        position="02",
        ts=1,
        payload=b"",
        error_class="Poison",
        error="",
        traceback="",
        correlation_id="c",
    )
    with connections.destination.transaction() as transaction:
        assert transaction.lock_partition(partition)
        transaction.advance(partition, "02", 1, 17)
        transaction.park([letter])

    status = read()

    assert status.backlog_changes == 5
    table = only_table(status)
    [log] = connections.logs.backlog(begun).values()
    assert (table.backlog_changes, table.backlog_bytes) == (5, log.bytes)
    assert (table.changes_applied, table.dead_letters) == (17, 1)


def test_lag_is_what_is_not_applied_and_not_the_steps_of_an_idle_source(
    connections: Connections, begun: str, read: Read, postgresql: psycopg.Connection
) -> None:
    behind = connections.source.now() - (300 << TS_COUNTER_BITS)
    postgresql.execute(b"UPDATE cartridge_warp.sync_schemas SET checkpoint_ts = %s, source_ts = %s", [behind, behind])
    assert read().lag_seconds == 0

    connections.logs.append([entry(begun, 1, b"x")])
    lag = read().lag_seconds
    assert lag is not None
    assert lag >= 300


def test_lag_counts_while_the_stream_is_still_being_read(
    connections: Connections, begun: str, read: Read, postgresql: psycopg.Connection
) -> None:
    behind = connections.source.now() - (300 << TS_COUNTER_BITS)
    postgresql.execute(b"UPDATE cartridge_warp.sync_schemas SET checkpoint_ts = %s", [behind])

    status = read()

    assert status.backlog_changes == 0
    assert status.lag_seconds is not None
    assert status.lag_seconds >= 300


@pytest.mark.usefixtures("begun")
def test_without_a_tailer_a_schema_is_stopped_and_falls_behind(
    connections: Connections, read: Read, postgresql: psycopg.Connection
) -> None:
    behind = connections.source.now() - (300 << TS_COUNTER_BITS)
    postgresql.execute(
        b"UPDATE cartridge_warp.sync_schemas SET checkpointed_at = now() - interval '5 minutes', "
        b"checkpoint_ts = %s, source_ts = %s",
        [behind, behind],
    )

    status = read()

    assert status.state is State.STOPPED
    assert status.lag_seconds is not None
    assert status.lag_seconds >= 300
    assert status.checkpoint_age_seconds is not None
    assert status.checkpoint_age_seconds > 290


@pytest.mark.usefixtures("begun")
def test_the_headroom_is_what_the_oplog_reaches_back(read: Read) -> None:
    headroom = read().oplog_headroom_seconds

    assert headroom is not None
    assert headroom > 0


@pytest.mark.usefixtures("begun")
def test_a_headroom_that_is_unknown_is_said_with_what_to_do(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warp.sources.mongodb.source.MongoSource.headroom_seconds", lambda self, ts: None)
    status = read()
    assert status.oplog_headroom_seconds is None
    [note] = status.notes
    assert "clusterMonitor" in note


@pytest.mark.usefixtures("begun")
def test_while_redis_is_away_the_backlog_is_unknown(config_file: ConfigFile) -> None:
    with refusing_port() as port:
        config = load_config(config_file(redis={"connection_string": f"redis://:hunter2@127.0.0.1:{port}/0"}), {})
        connections = open_connections(config)
        [status] = read_status(config, connections, None)
        connections.close()

    assert status.backlog_changes is None
    assert only_table(status).backlog_bytes is None
    assert status.lag_seconds == 0
    [note] = status.notes
    assert note.startswith("backlog unknown: Redis at ")
    assert "hunter2" not in note


@pytest.mark.usefixtures("begun")
def test_while_mongodb_is_away_the_lag_is_unknown(config_file: ConfigFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warp.sources.mongodb.source.SELECTION_TIMEOUT_MS", 100)
    with refusing_port() as port:
        config = load_config(config_file(source={"connection_string": f"mongodb://me:hunter2@127.0.0.1:{port}/"}), {})
        connections = open_connections(config)
        [status] = read_status(config, connections, None)
        connections.close()

    assert (status.lag_seconds, status.oplog_headroom_seconds, status.backlog_changes) == (None, None, 0)
    [note] = status.notes
    assert note.startswith("lag unknown: MongoDB at ")
    assert "hunter2" not in note


def test_an_unknown_schema_is_refused(connections: Connections, config_file: ConfigFile) -> None:
    with pytest.raises(ConfigurationError, match="'nowhere' is not configured"):
        read_status(load_config(config_file(), {}), connections, "nowhere")


def test_the_command_prints_one_json_object(begun: str, config_file: ConfigFile, fleet: Fleet) -> None:
    code, output = fleet.run(config_file(), "status", "--json")

    assert code == ExitCode.DONE
    [schema] = json.loads(output)["schemas"]
    assert {"name", "state", "lag_seconds", "backlog_changes", "oplog_headroom_seconds", "tables"} <= schema.keys()
    assert (schema["name"], schema["state"]) == (begun, "loading")
    [table] = schema["tables"]
    assert (table["name"], table["state"], table["documents_estimate"]) == ("items", "planned", 70)


def test_the_command_shows_a_table(begun: str, config_file: ConfigFile, fleet: Fleet) -> None:
    code, output = fleet.run(config_file(), "status")

    assert code == ExitCode.DONE
    assert output.startswith(f"schema {begun}: loading, lag 0 s, backlog 0 changes, oplog headroom ")
    assert "0 of ~70" in output


def test_names_that_are_others_in_postgresql_are_told(
    begun: str, connections: Connections, config_file: ConfigFile, fleet: Fleet
) -> None:
    connections.destination.metadata.add_tables(begun, {"x" * 70: 1, "new": 1})
    seen = Seen()
    seen.add_records([{"ctid": 1, "plain": 2}], None)
    ref = TableRef(begun, "items")
    connections.destination.evolve(ref, seen, DEFAULT, cause="test")

    code, output = fleet.run(config_file(), "status", "--json")
    assert code == ExitCode.DONE
    tables = {table["name"]: table for table in json.loads(output)["schemas"][0]["tables"]}
    column = column_name("ctid", ())
    assert tables["items"]["target"] == f'"{begun}"."items"'
    assert tables["items"]["renamed_columns"] == [{"name": "ctid", "becomes": column}]
    assert (tables["new"]["renamed_columns"], tables["new"]["target"]) == ([], f'"{begun}"."new"')
    target = tables["x" * 70]["target"]
    assert target != f'"{begun}"."{"x" * 70}"'

    code, output = fleet.run(config_file(), "status")
    assert code == ExitCode.DONE
    assert f"columns of items: ctid is {column}" in output
    assert f"{'x' * 70} is the table {target}" in output
    assert "new is the table" not in output


def test_what_is_blocked_and_what_went_wrong_is_told(
    begun: str, connections: Connections, config_file: ConfigFile, read: Read, fleet: Fleet
) -> None:
    metadata = connections.destination.metadata
    error = Fatal('column "v" does not exist', remedy="bring it back")
    for number in range(7):
        metadata.log_error(begun, None, Fatal(f"older error {number}"), None, None)
    for correlation_id in ("c1", "c2"):
        metadata.log_error(begun, "items", error, error.remedy, correlation_id)
    metadata.block(TableRef(begun, "items"), str(error), error.remedy)

    status = read()
    assert len(status.errors) == 5
    told = status.to_json()
    [table] = told["tables"]
    assert table["state"] == "blocked"
    assert (table["blocked"]["reason"], table["blocked"]["remedy"]) == (str(error), "bring it back")
    newest = told["errors"][0]
    assert (newest["table"], newest["class"], newest["error"]) == ("items", "Fatal", str(error))
    assert (newest["remedy"], newest["correlation_id"], newest["occurrences"]) == ("bring it back", "c2", 2)
    assert 0 <= newest["age_seconds"] < 60

    code, output = fleet.run(config_file(), "status")
    assert code == ExitCode.DONE
    assert f"items is blocked: {error}" in output
    assert "to do: bring it back" in output
    assert f"ago, 2 times: items: Fatal: {error} (to do: bring it back) [c2]" in output


def test_without_postgresql_there_is_no_status(config_file: ConfigFile, fleet: Fleet) -> None:
    with refusing_port() as port:
        dsn = f"postgresql://me:hunter2@127.0.0.1:{port}/x"
        code, output = fleet.run(config_file(destination={"connection_string": dsn}), "status")

    assert code == ExitCode.UNREACHABLE
    assert output.startswith("error: PostgreSQL at ")
    assert "hunter2" not in output


def test_before_migrate_the_command_says_what_to_do(
    connections: Connections, config_file: ConfigFile, fleet: Fleet, postgresql: psycopg.Connection
) -> None:
    postgresql.execute(b"DROP SCHEMA cartridge_warp CASCADE")
    with pytest.raises(Fatal):
        connections.destination.require_migrated()

    code, output = fleet.run(config_file(), "status")

    assert code == ExitCode.FAILED
    assert "cartridge-warp migrate" in output
