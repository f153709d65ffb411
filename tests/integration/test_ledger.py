"""The ledger of values kept in `_extra`, from real servers to `status`: summed up over workers, and after restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from pymongo.database import Database

from tests.conftest import ConfigFile
from tests.support.pipeline import Pipeline
from tests.support.wait import eventually
from warp.change import Partition
from warp.cli.main import main
from warp.config import load_config
from warp.connections import open_connections
from warp.errors import ExitCode
from workers.apply import Applier, Outcome
from workers.report import Report

Counts = dict[tuple[str | None, str], int]


def status(config: Path, *words: str) -> str:
    result = CliRunner().invoke(main, ["status", "--config", str(config), *words], env={"COLUMNS": "500"})
    assert result.exit_code == ExitCode.DONE, result.output
    return result.stdout


def counts(config: Path) -> Counts:
    [schema] = json.loads(status(config, "--json"))["schemas"]
    [table] = schema["tables"]
    return {(each["field"], each["reason"]): each["values"] for each in table["kept_in_extra"]}


@pytest.fixture
def config(config_file: ConfigFile) -> Path:
    return config_file()


@pytest.fixture
def other(pipeline: Pipeline, config: Path) -> Iterator[Applier]:
    """Another worker, with connections of its own."""
    connections = open_connections(load_config(config, {}))
    source, destination, logs = connections.source, connections.destination, connections.logs
    yield Applier(source, destination, logs, settings=lambda _: pipeline.settings, report=Report())
    connections.close()


def test_loads_and_steps_of_several_workers_are_summed_up(
    pipeline: Pipeline, other: Applier, config: Path, database: Database[dict[str, Any]]
) -> None:
    database.items.insert_many([{"_id": 1, "a": 1, "n": None}, {"_id": 2, "a": "one", "b\x1b": None}])
    pipeline.load("items")
    loaded: Counts = {("n", "null"): 1, ("a", "does_not_fit"): 1, ("b\x1b", "null"): 1}
    assert counts(config) == loaded
    database.items.insert_many([{"_id": 3, "n": None, "x" * 1001: None}, {"_id": 4, "a": "two"}])
    pipeline.follow("items", 2)
    database.items.update_one({"_id": 3}, {"$set": {"a": "three"}})

    def sent() -> bool:
        pipeline.tailer.tick()
        return sum(log.changes for log in pipeline.connections.logs.backlog(database.name).values()) == 1

    eventually(sent)
    partition = Partition(database.name, "items", 0, 1)
    assert other.step(partition) is Outcome.APPLIED
    assert other.step(partition) is Outcome.EMPTY
    # A document that is written again counts again.
    expected = {("n", "null"): 3, ("a", "does_not_fit"): 3, ("b\x1b", "null"): 1, (None, "null"): 2}
    assert counts(config) == expected
    shown = status(config)
    assert r'kept in _extra of items: a 3 (does_not_fit), n 3 (null), (other) 2 (null), "b\u001b" 1 (null)' in shown
    assert "\x1b" not in shown


def test_a_step_that_is_rolled_back_counts_once_it_is_applied(
    pipeline: Pipeline,
    other: Applier,
    config: Path,
    database: Database[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline.tailer.tick()
    database.items.insert_many([{"_id": 1, "a": 1, "n": None}])

    class Lost(Exception):
        pass

    def lose(*_: object) -> None:
        raise Lost

    with monkeypatch.context() as broken:
        broken.setattr(Report, "applied", lose)
        with pytest.raises(Lost):
            pipeline.follow("items", 1)
    assert counts(config) == {}
    assert other.step(Partition(database.name, "items", 0, 1)) is Outcome.APPLIED
    assert counts(config) == {("n", "null"): 1}


def test_values_in_extra_are_those_that_were_counted(
    pipeline: Pipeline, config: Path, database: Database[dict[str, Any]], postgresql: psycopg.Connection
) -> None:
    database.items.insert_many([{"_id": number, "a": None, "b": number if number % 3 else "x"} for number in range(30)])
    pipeline.load("items")
    query = f'SELECT key, count(*) FROM "{database.name}".items, jsonb_object_keys(_extra) AS key GROUP BY key'
    held: dict[str, int] = dict(postgresql.execute(query.encode()).fetchall())
    assert held == {str(field): values for (field, _), values in counts(config).items()}
