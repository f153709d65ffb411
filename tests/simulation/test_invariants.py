"""The eight guarantees of the README, each by its number, as far as they show in memory.

Processes that are killed (1, 5) and memory that stays bounded (8) are in `tests/acceptance`.
"""

from __future__ import annotations

import random

import pytest

from tests.simulation.weather import forecast
from tests.simulation.world import World
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import key
from warp.change import BEGINNING, Operation, Partition, TableRef
from warp.errors import ServerUnreachable
from warp.metadata.base import SnapshotState
from warp.testing.documents import key_of
from warp.transport.base import Entry

PARTITION = Partition(*REF, 0, 1)


def _started(**kind: int) -> Mirror:
    """A mirror whose tailer has begun, before there was anything."""
    mirror = Mirror(partitions=kind.get("partitions", 1), batch_size=kind.get("batch_size", 100))
    mirror.tailer().tick()
    return mirror


def _some_life(mirror: Mirror) -> None:
    mirror.insert(1, 2, 3, 4, v=1)
    mirror.source.update(SCHEMA, TABLE, 1, v=2)
    mirror.source.delete(SCHEMA, TABLE, 2)
    mirror.source.replace(SCHEMA, TABLE, {"_id": 3, "v": 3})
    mirror.source.delete(SCHEMA, TABLE, 4)
    mirror.insert(4, v=4)


def test_invariant_1_the_destinations_transaction_is_the_only_commit_point() -> None:
    """Rows, position and dead letters are there together, or none of them is, wherever a step is cut off."""
    calls = ("transaction.lock_partition", "logs.read", "transaction.upsert", "transaction.park", "transaction.advance")
    for call in (*calls, "destination.commit"):
        mirror = _started()
        mirror.database.poison.add(key(3))
        tailer = mirror.tailer()
        tailer.tick()
        _some_life(mirror)
        tailer.tick()
        mirror.fail[call] = [KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            mirror.applier().step(PARTITION)
        assert not mirror.rows(), call
        assert not mirror.database.letters, call
        assert mirror.metadata.markers(SCHEMA).get(PARTITION, BEGINNING) == BEGINNING
        mirror.applier().step(PARTITION)
        assert mirror.rows().keys() == {"1", "4"}
        assert len(mirror.database.letters) == 1
        assert mirror.metadata.markers(SCHEMA)[PARTITION] == mirror.source.log[-1].position


@pytest.mark.parametrize("seed", range(10))
def test_invariant_1_losing_all_of_redis_at_any_moment_loses_nothing(seed: int) -> None:
    rng = random.Random(seed)
    mirror = _started(partitions=2, batch_size=2)
    tailer = mirror.tailer()
    for _ in range(30):
        if rng.random() < 0.6:
            mirror.insert(len(mirror.source.log), v=1)
        for deed in (tailer.tick, mirror.reconcile.tick, mirror.work):
            if rng.random() < 0.3:
                mirror.broker.flush()
            deed()
        mirror.advance(0.4)
    mirror.advance(10)
    mirror.catch_up(tailer)
    assert mirror.identical()


def test_invariant_2_all_changes_of_a_document_go_through_one_partition_in_stream_order() -> None:
    mirror = _started(partitions=3, batch_size=2)
    tailer = mirror.tailer()
    for round_ in range(4):
        for number in range(12):
            if round_ == 0:
                mirror.insert(number, v=0)
            else:
                mirror.source.replace(SCHEMA, TABLE, {"_id": number, "v": round_})
        tailer.tick()
    homes: dict[str, set[int]] = {}
    for number in range(3):
        stored = mirror.logs.read(Partition(*REF, number, 3), None, 1000)
        changes = [change for item in stored for change in mirror.source.decode(item.entry.payload)]
        assert [change.position for change in changes] == sorted(change.position for change in changes)
        for change in changes:
            homes.setdefault(change.key.text, set()).add(number)
    assert len(homes) == 12
    assert all(len(numbers) == 1 for numbers in homes.values())
    assert len(set.union(*homes.values())) == 3


def test_invariant_2_positions_only_grow() -> None:
    mirror = _started(batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, 2, 3)
    tailer.tick()
    entries = [item.entry for item in mirror.logs.read(PARTITION, None, 10)]
    seen = [BEGINNING]
    for sent in (entries[:2], entries[:1], entries[1:], entries):
        mirror.broker.flush()
        mirror.logs.append(sent)
        while mirror.logs.read(PARTITION, None, 1):
            mirror.applier().step(PARTITION)
            seen.append(mirror.metadata.markers(SCHEMA)[PARTITION])
    assert seen == sorted(seen)
    assert mirror.identical()


@pytest.mark.parametrize("seed", range(10))
def test_invariant_3_applying_anything_again_any_number_of_times_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    mirror = _started(batch_size=rng.choice((1, 3, 100)))
    tailer = mirror.tailer()
    tailer.tick()
    _some_life(mirror)
    tailer.tick()
    entries = [item.entry for item in mirror.logs.read(PARTITION, None, 100)]
    mirror.work()
    rows, marker = mirror.rows(), mirror.metadata.markers(SCHEMA)
    for _ in range(5):
        mirror.logs.append(rng.sample(entries, rng.randint(1, len(entries))))
        for _ in range(len(entries)):
            mirror.applier().step(PARTITION)
        assert (mirror.rows(), mirror.metadata.markers(SCHEMA)) == (rows, marker)
    assert mirror.identical()


def test_invariant_3_writing_a_whole_log_over_a_marker_that_was_lost_changes_nothing() -> None:
    mirror = _started(batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, 2, v=1)
    mirror.source.replace(SCHEMA, TABLE, {"_id": 1, "v": 2})
    tailer.tick()
    entries = [item.entry for item in mirror.logs.read(PARTITION, None, 100)]
    mirror.work()
    rows = mirror.rows()
    mirror.database.markers.clear()
    mirror.logs.append(entries)
    seen = []
    while mirror.logs.read(PARTITION, None, 1):
        mirror.applier().step(PARTITION)
        seen.append(mirror.rows())
    assert seen == [rows] * 3


@pytest.mark.parametrize("seed", range(15))
def test_invariant_4_a_row_never_goes_back_in_time(seed: int) -> None:
    """Stream, loads, lookups and two of everything at once: each row is its document as of exactly its own time."""
    assert World(seed, forecast(seed, "loads")).run() == []


def test_invariant_5_the_saved_position_never_passes_a_change_that_is_not_applied() -> None:
    mirror = _started(partitions=3, batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    for number in range(12):
        mirror.insert(number)
        tailer.tick()
    positions = {int(logged.key.text): logged.position for logged in mirror.source.log}
    while True:
        tailer.check()
        state = mirror.metadata.schema(SCHEMA)
        assert state is not None
        missing = [position for number, position in positions.items() if str(number) not in mirror.rows()]
        assert not missing or state.checkpoint.position < min(missing)
        taken = mirror.wakeups.take()
        if taken is None:
            break
        mirror.fail["destination.commit"] = [ServerUnreachable("PostgreSQL", "somewhere", "gone")]
        mirror.drain.apply(*taken)
    assert mirror.identical()
    assert state.checkpoint.position >= positions[11]


@pytest.mark.parametrize("seed", range(10))
def test_invariant_5_a_tailer_that_starts_at_the_saved_position_has_all_that_is_missing(seed: int) -> None:
    rng = random.Random(seed)
    mirror = _started(partitions=2, batch_size=2)
    tailer = mirror.tailer()
    for _ in range(25):
        mirror.insert(len(mirror.source.log))
        tailer.tick()
        mirror.advance(0.7)
        if rng.random() < 0.5 and (taken := mirror.wakeups.take()) is not None:
            mirror.drain.apply(*taken)
        if rng.random() < 0.2:
            mirror.broker.flush()
            tailer = mirror.tailer()
    mirror.broker.flush()
    mirror.catch_up(mirror.tailer())
    assert mirror.identical()


def test_invariant_6_zombies_are_harmless() -> None:
    """A tailer and a worker that stood still come back long after others did their work."""
    mirror = _started(batch_size=1)
    zombie, living = mirror.tailer(), mirror.tailer()
    zombie.tick()
    living.tick()
    _some_life(mirror)

    def meanwhile() -> None:
        mirror.catch_up(living)
        mirror.source.delete(SCHEMA, TABLE, 1)
        mirror.insert(9, v=9)
        mirror.catch_up(living)

    mirror.meanwhile["logs.append"] = [meanwhile]
    zombie.tick()
    assert mirror.identical()
    stale = mirror.logs.read(PARTITION, None, 100)
    assert stale, "the zombie has sent what everybody knew"
    mirror.meanwhile["wakeups.renew"] = [lambda: mirror.catch_up(living)]
    mirror.reconcile.tick()
    mirror.work()
    mirror.advance(10)
    mirror.catch_up(zombie)
    assert mirror.identical()
    checkpoint = mirror.metadata.schema(SCHEMA)
    assert checkpoint is not None
    assert checkpoint.checkpoint.position >= mirror.source.log[-1].position


@pytest.mark.parametrize("seed", range(10))
def test_invariant_6_logs_that_come_back_with_an_older_state_are_harmless(seed: int) -> None:
    rng = random.Random(seed)
    mirror = _started(partitions=2, batch_size=2)
    tailers = [mirror.tailer(), mirror.tailer()]
    saved = mirror.broker.save()
    for _ in range(40):
        dice = rng.random()
        if dice < 0.4:
            mirror.insert(len(mirror.source.log))
        elif dice < 0.5:
            saved = mirror.broker.save()
        elif dice < 0.6:
            mirror.broker.restore(saved)
        else:
            rng.choice([*(tailer.tick for tailer in tailers), mirror.reconcile.tick, mirror.work])()
        mirror.advance(rng.choice((0.1, 1.0, 6.0)))
    for tailer in tailers:
        mirror.advance(10)
        mirror.catch_up(tailer)
    assert mirror.identical()


def test_invariant_6_an_entry_is_a_true_statement_whoever_sends_it_whenever() -> None:
    """Entries of several tailers, in any order, doubled or missing, never make a row that is not true."""
    mirror = _started(batch_size=2)
    sent: list[Entry] = []
    for number in range(8):
        mirror.insert(number, v=1)
        tailer = mirror.tailer()
        tailer.tick()
        tailer.tick()
        sent += [item.entry for item in mirror.logs.read(PARTITION, None, 100)]
    for seed in range(20):
        rng = random.Random(seed)
        mirror.broker.flush()
        mirror.logs.append(rng.choices(sent, k=5))
        while mirror.logs.read(PARTITION, None, 1):
            mirror.applier().step(PARTITION)
        applied = mirror.metadata.markers(SCHEMA).get(PARTITION, BEGINNING)
        assert mirror.rows().keys() == {
            logged.key.text for logged in mirror.source.log if logged.position <= applied
        }, "the marker says exactly what is there"


def test_invariant_7_nothing_is_dropped_silently() -> None:
    """Every value is in the row, every change that cannot be applied is a dead letter, and both are counted."""
    from prometheus_client import REGISTRY

    mirror = _started()
    ref = TableRef(SCHEMA, TABLE)
    labels = {"schema": SCHEMA, "table": TABLE}

    def counted(name: str, **more: str) -> float:
        return REGISTRY.get_sample_value(name, labels | more) or 0.0

    kept = counted("cartridge_warp_values_kept_in_extra_total", field="v", reason="does_not_fit")
    letters = counted("cartridge_warp_dead_letters_total")
    inserted = counted("cartridge_warp_records_processed_total", operation="insert")
    poison = key_of("poison")
    mirror.database.poison.add(poison)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(1, v=1)
    mirror.insert(2, v="text", nothing=None, deep={"a": [1, None]})
    mirror.source.insert(SCHEMA, TABLE, {"_id": "poison", "v": 3})
    tailer.tick()
    mirror.work()
    document = mirror.source.documents[ref][key(2)]
    assert mirror.source.differences(document, key(2), mirror.rows()["2"].fields) == ()
    (stored,) = mirror.database.letters.values()
    letter = stored.letter
    assert (letter.key, letter.operation) == (poison, Operation.INSERT)
    (change,) = mirror.source.decode(letter.payload)
    assert change.record == {"v": 3}, "the whole change is kept"
    assert "3" not in letter.error
    assert counted("cartridge_warp_values_kept_in_extra_total", field="v", reason="does_not_fit") == kept + 1
    assert counted("cartridge_warp_dead_letters_total") == letters + 1
    assert counted("cartridge_warp_records_processed_total", operation="insert") == inserted + 3


def test_invariant_8_the_tailer_stops_reading_at_the_high_water_mark() -> None:
    mirror = _started()
    mirror.high_water_mark = 5_000
    mirror.source.batch = 10
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(*range(500), text="x" * 100)
    largest = 0
    for _ in range(200):
        tailer.tick()
        mirror.advance(0.05)
        largest = max(largest, sum(log.bytes for log in mirror.logs.backlog(SCHEMA).values()))
    assert 5_000 <= largest < 10_000, "one batch over it at most"
    for _ in range(200):
        tailer.tick()
        mirror.work()
        mirror.reconcile.tick()
    assert mirror.identical()
    assert mirror.metadata.tables(SCHEMA)[0].snapshot is SnapshotState.NONE
