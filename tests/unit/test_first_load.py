"""First loads: planned, loaded piece by piece beside the stream, closed; by real parts over in-memory ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from scheduler.snapshots import CHUNKS_AT_ONCE
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import key
from warp.change import BEGINNING
from warp.errors import Fatal, Transient
from warp.filters import FieldFilter
from warp.metadata.base import SnapshotState
from warp.retry import MENDED_SECONDS
from warp.sources.base import Chunk, Piece
from warp.transport.base import load_wakeup


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.snapshots.CHUNK_DOCUMENTS", 4)


def _planned(documents: int = 10, *, piece: int = 2) -> Mirror:
    """A mirror whose tailer has begun, with so many documents to load, in chunks of four."""
    mirror = Mirror(piece=piece)
    mirror.insert(*range(documents), v="old")
    mirror.tailer().tick()
    mirror.snapshots.tick()
    return mirror


def _always() -> bool:
    return True


def test_a_load_reads_nothing_from_before_the_stream_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the time is for the member of the source that happens to answer."""
    mirror = _planned(1)
    state = mirror.metadata.schema(SCHEMA)
    assert state is not None
    asked: list[int] = []
    read = mirror.source.read

    def noting(schema: str, table: str, chunk: Chunk, after: int, fields: FieldFilter | None) -> Iterator[Piece]:
        asked.append(after)
        return read(schema, table, chunk, after, fields)

    monkeypatch.setattr(mirror.source, "now", lambda: state.start_ts - 1000)
    monkeypatch.setattr(mirror.source, "read", noting)
    mirror.work()
    assert asked == [state.start_ts - 1]


def test_a_load_is_planned_as_chunks_and_workers_are_woken_for_them() -> None:
    mirror = _planned()
    (table,) = mirror.metadata.tables(SCHEMA)
    assert (table.snapshot, table.chunks) == (SnapshotState.LOADING, 3)
    taken = [taken[0] for taken in iter(mirror.wakeups.take, None)]
    assert taken == [load_wakeup(REF, chunk) for chunk in (1, 2, 3)]


def test_workers_are_woken_for_a_few_chunks_at_a_time() -> None:
    mirror = _planned(4 * (CHUNKS_AT_ONCE + 5))
    assert len(list(iter(mirror.wakeups.take, None))) == CHUNKS_AT_ONCE


def test_ticking_is_harmless_however_often_and_by_whom() -> None:
    mirror = _planned()
    for _ in range(3):
        assert mirror.snapshots.tick()
    assert mirror.metadata.tables(SCHEMA)[0].chunks == 3
    assert mirror.work() == 3
    assert not mirror.snapshots.tick()
    assert not mirror.snapshots.tick()
    assert mirror.metadata.tables(SCHEMA)[0].snapshot is SnapshotState.DONE


def test_what_is_loaded_is_what_is_there() -> None:
    mirror = _planned()
    mirror.work()
    assert mirror.identical()
    assert mirror.metadata.tables(SCHEMA)[0].rows_loaded == 10


def test_an_empty_table_is_loaded_at_once() -> None:
    mirror = Mirror()
    mirror.insert(1)
    mirror.source.delete(SCHEMA, TABLE, 1)
    mirror.tailer().tick()
    mirror.snapshots.tick()
    mirror.work()
    assert not mirror.snapshots.tick()
    assert mirror.metadata.tables(SCHEMA)[0].snapshot is SnapshotState.DONE


def test_a_load_that_is_interrupted_goes_on_where_it_was() -> None:
    mirror = _planned(8)
    answers = iter([True, False])
    assert not mirror.loader().load(REF, 1, "cid", going_on=lambda: next(answers, False))
    loaded = mirror.rows().keys()
    assert 0 < len(loaded) <= 4
    mirror.calls.clear()
    assert mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert mirror.metadata.tables(SCHEMA)[0].rows_loaded == 4, "what the turn before ended with counts once"
    assert mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert mirror.metadata.tables(SCHEMA)[0].chunks_loaded == 1


def test_a_load_makes_progress_however_slow_it_is() -> None:
    mirror = _planned(4, piece=1)
    for _ in range(20):
        if mirror.loader().load(REF, 1, "cid", going_on=lambda: False):
            break
    assert mirror.metadata.tables(SCHEMA)[0].chunks_loaded == 1
    assert mirror.identical()


def test_a_load_whose_worker_dies_goes_on_after_the_last_piece() -> None:
    mirror = _planned(8, piece=1)
    with pytest.raises(KeyboardInterrupt):
        mirror.loader().load(REF, 1, "cid", going_on=_dying_after(3))
    assert mirror.rows().keys() == {"0", "1", "2"}
    mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert mirror.rows().keys() == {"0", "1", "2", "3"}


def _dying_after(pieces: int) -> Callable[[], bool]:
    calls = iter(range(1, 100))

    def going_on() -> bool:
        if next(calls) == pieces:
            raise KeyboardInterrupt
        return True

    return going_on


def test_two_workers_at_one_chunk_do_no_harm() -> None:
    mirror = _planned(4)

    def other() -> bool:
        mirror.loader().load(REF, 1, "other", going_on=_always)
        return True

    mirror.loader().load(REF, 1, "cid", going_on=other)
    assert mirror.metadata.tables(SCHEMA)[0].chunks_loaded == 1
    assert mirror.identical()


def test_a_chunk_that_is_loaded_is_not_loaded_again() -> None:
    mirror = _planned(4)
    mirror.loader().load(REF, 1, "cid", going_on=_always)
    mirror.calls.clear()
    assert mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert "source.read" not in mirror.calls


def test_the_stream_wins_whichever_comes_first() -> None:
    mirror = Mirror(piece=10)
    mirror.insert(1, 2, 3, 4, v="old")
    tailer = mirror.tailer()
    tailer.tick()
    mirror.snapshots.tick()

    def stream() -> None:
        mirror.source.replace(SCHEMA, TABLE, {"_id": 1, "v": "new"})
        mirror.source.delete(SCHEMA, TABLE, 2)
        mirror.source.delete(SCHEMA, TABLE, 3)
        mirror.source.insert(SCHEMA, TABLE, {"_id": 3, "v": "again"})
        tailer.tick()
        mirror.work()

    mirror.meanwhile["source.read"] = [stream]  # what was read by then is written after it
    mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert {number: row.fields["v"] for number, row in mirror.rows().items()} == {"1": "new", "3": "again", "4": "old"}
    mirror.catch_up(tailer)
    assert mirror.identical()


def test_rows_are_written_as_of_the_time_they_were_read_at() -> None:
    mirror = _planned(4)
    mirror.advance(5)
    now = mirror.source.now()
    mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert {row.ts for row in mirror.rows().values()} == {now}


def test_poison_in_a_load_is_parked_by_its_key() -> None:
    mirror = _planned(4)
    mirror.database.poison.add(key(2))
    mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert mirror.rows().keys() == {"0", "1", "3"}
    ((_, position, parked),) = mirror.database.letters
    assert (position, parked) == (BEGINNING, key(2))
    assert mirror.metadata.tables(SCHEMA)[0].chunks_loaded == 1


@pytest.mark.parametrize("error", [Transient("not now"), Fatal("never")])
def test_a_load_that_fails_leaves_its_chunk_to_be_loaded(error: Exception) -> None:
    mirror = _planned(4)
    mirror.fail["transaction.load"] = [error]
    with pytest.raises(type(error)):
        mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert mirror.rows() == {}
    assert mirror.metadata.missing_chunks(REF, 10) == [1]
    mirror.loader().load(REF, 1, "cid", going_on=_always)
    assert mirror.identical()


def test_a_table_that_cannot_be_planned_does_not_hold_up_the_others() -> None:
    mirror = Mirror()
    mirror.insert(1, 2)
    mirror.source.insert(SCHEMA, "a", {"_id": 1})
    mirror.tailer().tick()
    mirror.fail["source.split"] = [Fatal("not authorized", remedy="grant it")]
    mirror.snapshots.tick()
    mirror.work()
    first, second = mirror.metadata.tables(SCHEMA)
    assert (first.ref.table, first.snapshot, first.blocked is None) == ("a", SnapshotState.PLANNED, False)
    assert (second.chunks_loaded, second.blocked) == (1, None)
    mirror.snapshots.tick()
    assert mirror.calls.count("source.split") == 2, "not in a hot loop"
    mirror.advance(MENDED_SECONDS)
    for _ in range(3):
        mirror.snapshots.tick()
        mirror.work()
    assert [(table.snapshot, table.blocked) for table in mirror.metadata.tables(SCHEMA)] == [
        (SnapshotState.DONE, None)
    ] * 2
