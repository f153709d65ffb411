"""Excluded tables, over in-memory parts: left out of the stream, which goes on; read when they are included later."""

from __future__ import annotations

import pytest

from tests.unit.mirror import SCHEMA, TABLE, Mirror
from warp.change import TableRef
from warp.errors import ServerUnreachable
from warp.metadata.base import SnapshotState
from warp.verify import verify_schema

SECRETS = TableRef(SCHEMA, "secrets")


def excluding(*tables: str) -> Mirror:
    mirror = Mirror()
    mirror.excluded = set(tables)
    return mirror


def snapshots(mirror: Mirror) -> dict[str, SnapshotState]:
    return {table.ref.table: table.snapshot for table in mirror.metadata.tables(SCHEMA)}


def restart(mirror: Mirror, *excluded: str) -> None:
    mirror.excluded = set(excluded)
    mirror.catch_up(mirror.tailer())


def test_an_excluded_table_is_neither_created_nor_loaded_and_the_checkpoint_goes_on() -> None:
    mirror = excluding("secrets")
    mirror.insert(1)
    mirror.source.insert(*SECRETS, {"_id": 1})
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.source.insert(*SECRETS, {"_id": 2})
    last = mirror.source.log[-1].position
    mirror.catch_up(tailer)
    state = mirror.metadata.schema(SCHEMA)
    assert state is not None
    assert state.checkpoint.position >= last
    assert mirror.rows().keys() == {"1"}
    assert snapshots(mirror).keys() == {TABLE}
    assert SECRETS not in mirror.database.shapes
    assert mirror.metadata.excluded(SCHEMA) == {"secrets"}


def test_what_happens_to_an_excluded_table_is_left_out_too() -> None:
    mirror = excluding("secrets")
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.source.insert(SCHEMA, "drafts", {"_id": 1})
    mirror.source.rename(SCHEMA, "drafts", "secrets")
    mirror.source.drop(*SECRETS)
    mirror.catch_up(tailer)
    assert snapshots(mirror).keys() == {"drafts"}
    assert mirror.metadata.excluded(SCHEMA) == {"secrets"}


def test_a_table_that_is_included_later_is_read_and_nothing_else_is_touched() -> None:
    mirror = excluding("secrets")
    mirror.insert(1, 2)
    mirror.source.insert(*SECRETS, {"_id": 1, "v": 1})
    mirror.catch_up(mirror.tailer())
    mirror.source.insert(*SECRETS, {"_id": 2, "v": 1})
    rows = mirror.rows()
    restart(mirror)
    assert mirror.rows("secrets").keys() == {"1", "2"}
    assert mirror.identical("secrets")
    assert mirror.rows() == rows
    assert mirror.metadata.excluded(SCHEMA) == set()
    assert [ref for ref, act in mirror.database.audit if "to be read again" in act] == [SECRETS]


def test_a_table_that_came_while_it_was_excluded_is_read_once_it_is_included() -> None:
    mirror = excluding("secrets")
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.source.insert(*SECRETS, {"_id": 1})
    mirror.catch_up(tailer)
    restart(mirror)
    assert mirror.identical("secrets")
    assert mirror.rows("secrets").keys() == {"1"}


def test_a_table_that_is_excluded_later_stays_as_it_stands_and_is_read_when_it_is_included_again() -> None:
    mirror = Mirror()
    mirror.source.insert(*SECRETS, {"_id": 1, "v": 1})
    mirror.source.insert(*SECRETS, {"_id": 2, "v": 1})
    mirror.catch_up(mirror.tailer())
    before = mirror.rows("secrets")
    restart(mirror, "secrets")
    mirror.source.delete(*SECRETS, 1)
    mirror.source.replace(*SECRETS, {"_id": 2, "v": 2})
    restart(mirror, "secrets")
    assert mirror.rows("secrets") == before
    restart(mirror)
    assert mirror.identical("secrets")
    assert mirror.rows("secrets").keys() == {"2"}
    mirror.source.insert(*SECRETS, {"_id": 3})
    restart(mirror)
    assert mirror.identical("secrets")


def test_a_load_that_is_under_way_is_given_up() -> None:
    mirror = Mirror()
    mirror.source.insert(*SECRETS, {"_id": 1})
    mirror.tailer().tick()
    assert snapshots(mirror) == {"secrets": SnapshotState.PLANNED}
    restart(mirror, "secrets")
    assert snapshots(mirror) == {"secrets": SnapshotState.DONE}
    assert mirror.rows("secrets") == {}


def test_a_load_that_is_given_up_and_wanted_again_at_the_same_time_of_the_source_is_begun_anew() -> None:
    mirror = excluding("secrets")
    mirror.source.insert(*SECRETS, {"_id": 1})
    mirror.catch_up(mirror.tailer())
    mirror.excluded = set()
    mirror.tailer().tick()
    assert snapshots(mirror) == {"secrets": SnapshotState.PLANNED}
    mirror.excluded = {"secrets"}
    mirror.tailer().tick()
    assert snapshots(mirror) == {"secrets": SnapshotState.DONE}
    mirror.excluded = set()
    mirror.tailer().tick()
    assert snapshots(mirror) == {"secrets": SnapshotState.PLANNED}
    mirror.source.insert(SCHEMA, TABLE, {"_id": 1})
    mirror.catch_up(mirror.tailer())
    assert mirror.identical("secrets")
    assert mirror.rows("secrets").keys() == {"1"}


def test_a_table_that_is_gone_when_it_is_included_again_follows_the_policy_of_drops() -> None:
    mirror = Mirror()
    mirror.source.insert(*SECRETS, {"_id": 1})
    mirror.catch_up(mirror.tailer())
    restart(mirror, "secrets")
    mirror.source.drop(*SECRETS)
    restart(mirror, "secrets")
    restart(mirror)
    assert len(mirror.database.rows[SECRETS]) == 1
    assert mirror.identical("secrets")
    assert mirror.metadata.excluded(SCHEMA) == set()


def test_an_inclusion_that_is_cut_off_is_done_again() -> None:
    mirror = excluding("secrets")
    mirror.source.insert(*SECRETS, {"_id": 1})
    mirror.catch_up(mirror.tailer())
    mirror.excluded = set()
    mirror.fail["metadata.include"] = [ServerUnreachable("PostgreSQL", "somewhere", "gone")]
    tailer = mirror.tailer()
    with pytest.raises(ServerUnreachable):
        tailer.tick()
    mirror.catch_up(tailer)
    assert mirror.identical("secrets")
    assert mirror.metadata.excluded(SCHEMA) == set()


def test_a_lost_history_leaves_excluded_tables_alone() -> None:
    mirror = Mirror()
    mirror.insert(1)
    mirror.source.insert(*SECRETS, {"_id": 1})
    mirror.catch_up(mirror.tailer())
    before = mirror.rows("secrets")
    mirror.source.insert(SCHEMA, "late", {"_id": 1})
    mirror.source.delete(*SECRETS, 1)
    mirror.source.lose_history()
    restart(mirror, "secrets", "late")
    assert mirror.rows("secrets") == before
    assert mirror.metadata.excluded(SCHEMA) == {"secrets", "late"}
    restart(mirror)
    assert mirror.identical("late")
    assert mirror.rows("late").keys() == {"1"}
    assert mirror.identical("secrets")


def test_verify_says_that_a_table_is_excluded_and_reads_nothing_of_it() -> None:
    mirror = excluding("secrets")
    mirror.insert(1)
    mirror.source.insert(*SECRETS, {"_id": 1})
    mirror.catch_up(mirror.tailer())
    results = verify_schema(
        mirror.source, mirror.destination, SCHEMA, patience=0, wait=mirror.advance, mirrors=lambda name: name == TABLE
    )
    assert [(result.table, result.excluded, result.identical) for result in results] == [
        (TABLE, False, True),
        ("secrets", True, True),
    ]
    assert results[1].to_json()["excluded"] is True
