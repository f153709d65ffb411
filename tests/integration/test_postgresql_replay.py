"""Replays on real servers: a newer row stands, what was deleted stays deleted, whoever works beside them."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest
from pymongo.database import Database

from tests.integration.parking import REFUSED, Parking, key
from warp.destinations.base import OnDrop
from warp.destinations.postgresql.destination import PostgresDestination
from warp.destinations.postgresql.destination import open_destination as open_postgresql
from warp.destinations.postgresql.transaction import PostgresTransaction
from warp.errors import Transient
from warp.metadata.base import LetterState
from warp.sources.mongodb.source import MongoSource
from workers.apply import Outcome as Step
from workers.replay import Outcome


@pytest.fixture(params=[False, True], ids=["hard", "soft"])
def parking(
    request: pytest.FixtureRequest,
    source: MongoSource,
    destination: PostgresDestination,
    database: Database[dict[str, Any]],
    postgresql: psycopg.Connection,
) -> Parking:
    """Where deletes are hard, and where they are soft."""
    return Parking(source, destination, database, postgresql, soft=request.param)


def _state(parking: Parking) -> LetterState:
    [stored] = parking.letters()
    return stored.state


def test_a_letter_says_where_and_why_without_values(parking: Parking) -> None:
    [stored] = parking.park(1)
    letter = stored.letter
    assert letter.key == key(1)
    assert letter.error.startswith("CheckViolation: ")
    assert "psycopg.errors.CheckViolation (SQLSTATE 23514)" in letter.traceback
    assert "warp/destinations/postgresql/transaction.py:" in letter.traceback
    assert str(REFUSED) not in letter.traceback.split("Poison:")[1]
    assert letter.correlation_id == "c0ffee"
    whole = parking.destination.metadata.letter(stored.number)
    assert whole is not None
    [change] = parking.source.decode(whole.letter.payload)
    assert (change.key, change.record) == (key(1), {"v": REFUSED})
    assert f'"v":{{"$numberInt":"{REFUSED}"}}' in parking.source.describe(whole.letter.payload)


def test_a_replay_after_the_cause_is_gone_applies(parking: Parking) -> None:
    [stored] = parking.park(1)
    assert parking.replayer().replay(stored.number).outcome is Outcome.FAILED
    parking.relent()
    assert not parking.identical()
    assert parking.replayer().replay(stored.number).outcome is Outcome.APPLIED
    assert parking.identical()
    [settled] = parking.letters()
    assert (settled.state, settled.attempts) == (LetterState.APPLIED, 3)


def test_a_newer_row_stands(parking: Parking, postgresql: psycopg.Connection) -> None:
    [stored] = parking.park(1)
    parking.relent()
    parking.collection.replace_one({"_id": 1}, {"v": 2})
    parking.apply()
    assert _state(parking) is LetterState.SUPERSEDED
    postgresql.execute(b"UPDATE cartridge_warp.dead_letters SET state = 'open'")
    assert parking.replayer().replay(stored.number).outcome is Outcome.SUPERSEDED
    assert parking.identical()


def test_what_was_deleted_stays_deleted(parking: Parking) -> None:
    [stored] = parking.park(1)
    parking.collection.delete_one({"_id": 1})
    parking.apply()
    parking.relent()
    assert _state(parking) is LetterState.SUPERSEDED
    assert parking.replayer().replay(stored.number).outcome is Outcome.SETTLED
    assert parking.identical()


def test_without_the_mark_a_hard_delete_would_be_undone(parking: Parking, postgresql: psycopg.Connection) -> None:
    """What superseding is for: nothing else is left of a document that was deleted before its row was ever written."""
    [stored] = parking.park(1)
    parking.collection.delete_one({"_id": 1})
    parking.apply()
    parking.relent()
    postgresql.execute(b"UPDATE cartridge_warp.dead_letters SET state = 'open'")
    assert parking.replayer().replay(stored.number).outcome is Outcome.APPLIED
    assert not parking.identical()


def test_what_the_source_dropped_stays_gone(parking: Parking) -> None:
    [stored] = parking.park(1)
    parking.relent()
    parking.collection.drop()
    soft = parking.settings(parking.ref).deletion_strategy == "soft"
    assert parking.destination.drop(parking.ref, parking.source.now() + 1, OnDrop.TRUNCATE, soft=soft, cause="drop")
    assert parking.replayer().replay(stored.number).outcome is Outcome.SUPERSEDED
    assert parking.destination.count(parking.ref) == 0


def test_a_replay_waits_for_the_step_that_deletes_its_document(
    parking: Parking, another: PostgresDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step has the partition, and has not committed: the replay must see what it comes to."""
    [stored] = parking.park(1)
    parking.relent()
    parking.collection.delete_one({"_id": 1})
    parking.send()
    replayed = []

    def replay_meanwhile(*_: Any) -> None:
        with pytest.raises(Transient, match="being worked at"):
            parking.replayer(another).replay(stored.number)
        replayed.append("in vain")

    applier = parking.applier()
    monkeypatch.setattr(applier._report, "applied", replay_meanwhile)
    assert applier.step(parking.partition) is Step.APPLIED
    assert replayed == ["in vain"]
    assert parking.replayer(another).replay(stored.number).outcome is Outcome.SETTLED
    assert parking.identical()


def test_a_step_waits_for_the_replay_of_its_document(parking: Parking, another: PostgresDestination) -> None:
    [stored] = parking.park(1)
    parking.relent()
    parking.collection.delete_one({"_id": 1})
    parking.send()
    with another.transaction() as transaction:
        assert transaction.lock_partition(parking.partition)
        assert transaction.lock_letter(stored.number)
        assert parking.applier().step(parking.partition) is Step.BUSY
    assert parking.replayer(another).replay(stored.number).outcome is Outcome.APPLIED
    parking.apply()
    assert parking.identical()


def test_replays_of_everything_beside_a_stream_of_changes(parking: Parking, pg_dsn: str) -> None:
    """Many letters of few documents, replayed in any order by two, while a third applies what comes after them."""
    rng = random.Random(5)
    numbers = range(1, 13)

    def change(value: Callable[[], int]) -> None:
        for number in numbers:
            if rng.random() < 0.3:
                parking.collection.delete_one({"_id": number})
            else:
                update = {"$set": {"v": value()}} if rng.random() < 0.5 else {"$set": {"v": value(), "w": number}}
                parking.collection.update_one({"_id": number}, update, upsert=True)

    parking.refuse()
    for _ in range(4):
        change(lambda: REFUSED)
        parking.apply()
    letters = [stored.number for stored in parking.letters() if stored.state is LetterState.OPEN]
    assert letters
    parking.relent()
    for _ in range(6):
        change(lambda: rng.randrange(100))
        parking.send()

    def replay(seed: int) -> list[Outcome]:
        with closing(open_postgresql(pg_dsn)) as destination:
            order = random.Random(seed).sample(letters, len(letters))
            replayer = parking.replayer(destination, wait=lambda _: None)
            outcomes = []
            while order:
                try:
                    outcomes.append(replayer.replay(order[-1]).outcome)
                except Transient:
                    continue
                order.pop()
            return outcomes

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2))
        replays = [pool.submit(replay, seed) for seed in (1, 2)]
        applier = parking.applier()
        while applier.step(parking.partition) is not Step.EMPTY:
            pass
        outcomes = {outcome for each in replays for outcome in each.result(60)}
    assert outcomes <= {Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.SETTLED}
    assert not [stored for stored in parking.letters() if stored.state is LetterState.OPEN]
    parking.apply()
    assert parking.identical()


def test_of_a_thousand_documents_one_costs_two_tries_a_halving(
    parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    parking.refuse()
    parking.collection.insert_many([{"_id": n, "v": REFUSED if n == 700 else n + 100} for n in range(1, 1025)])
    parking.send()
    tries = []
    upsert = PostgresTransaction.upsert

    def counted(self: PostgresTransaction, *arguments: Any) -> Any:
        tries.append(arguments)
        return upsert(self, *arguments)

    monkeypatch.setattr(PostgresTransaction, "upsert", counted)
    assert parking.applier().step(parking.partition) is Step.APPLIED
    assert parking.destination.count(parking.ref) == 1024
    assert [stored.letter.key for stored in parking.letters()] == [key(700)]
    assert len(tries) == 21
