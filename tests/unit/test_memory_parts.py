"""The in-memory parts are what the contracts ask for: mypy holds these assignments."""

import pytest

from warp.change import Key, KeyKind, Partition, TableRef, Write
from warp.destinations.base import Destination, Transaction
from warp.errors import StreamInvalid, StreamLost, Transient
from warp.evolution.infer import Seen
from warp.evolution.rules import DEFAULT
from warp.metadata.base import Metadata
from warp.sources.base import ChangeStream, Source
from warp.testing import MemoryBroker, MemoryDestination, MemoryLogs, MemorySource, MemoryWakeups
from warp.transport.base import Logs, Wakeups, apply_wakeup


def test_the_parts_satisfy_their_protocols() -> None:
    source: Source = MemorySource()
    stream: ChangeStream = source.open_stream("shop", None)
    destination: Destination = MemoryDestination()
    metadata: Metadata = destination.metadata
    broker = MemoryBroker()
    logs: Logs = MemoryLogs(broker)
    wakeups: Wakeups = MemoryWakeups(broker)
    with destination.transaction() as opened:
        transaction: Transaction = opened
    assert None not in (stream, metadata, logs, wakeups, transaction)


REF = TableRef("shop", "orders")
KEY = Key(KeyKind.INT, "1")


def test_a_source_can_lose_its_history() -> None:
    source = MemorySource()
    stream = source.open_stream("shop", None)
    source.insert("shop", "orders", {"_id": 1})
    up_to_date = source.open_stream("shop", None)
    source.lose_history()
    with pytest.raises(StreamLost):
        stream.next_batch(0)
    with pytest.raises(StreamLost):
        source.open_stream("shop", stream.point)
    source.insert("shop", "orders", {"_id": 2})
    assert len(up_to_date.next_batch(0).changes) == 1


def test_a_source_can_cut_the_streams_that_are_open() -> None:
    source = MemorySource()
    stream = source.open_stream("shop", None)
    source.cut_streams()
    with pytest.raises(StreamInvalid):
        stream.next_batch(0)
    source.open_stream("shop", stream.point).next_batch(0)


def test_a_transaction_of_the_source_that_fails_leaves_nothing() -> None:
    source = MemorySource()
    source.insert("shop", "orders", {"_id": 1, "v": 1})

    def fail() -> None:
        with source.transaction():
            source.delete("shop", "orders", 1)
            source.insert("shop", "orders", {"_id": 2})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert source.documents[REF] == {KEY: {"_id": 1, "v": 1}}
    assert len(source.log) == 1


@pytest.mark.parametrize("change", ["replace", "update", "delete"])
def test_a_document_that_does_not_exist_cannot_be_changed(change: str) -> None:
    source = MemorySource()
    with pytest.raises(KeyError):
        getattr(source, change)("shop", "orders", {"_id": 1} if change == "replace" else 1)
    source.insert("shop", "orders", {"_id": 1})
    with pytest.raises(KeyError):
        source.insert("shop", "orders", {"_id": 1.0})


def test_a_lock_that_another_transaction_has_is_refused_at_once() -> None:
    destination = MemoryDestination()
    seen = Seen()
    seen.add_keys([KEY])
    shape = destination.evolve(REF, seen, DEFAULT, cause="test").after
    with destination.transaction() as one, destination.transaction() as two:
        one.upsert(REF, shape, [Write(KEY, 1, {})])
        with pytest.raises(Transient):
            two.upsert(REF, shape, [Write(KEY, 2, {})])
    with destination.transaction() as three:
        assert three.upsert(REF, shape, [Write(KEY, 2, {})]).upserted == 1


def test_a_hook_sees_every_call_and_may_have_it_fail() -> None:
    calls: list[str] = []

    def hook(call: str) -> None:
        calls.append(call)
        if call == "destination.commit":
            raise Transient("not now")

    destination = MemoryDestination(hook=hook)

    def step() -> None:
        with destination.transaction() as transaction:
            transaction.lock_partition(Partition(*REF, 0, 1))

    with pytest.raises(Transient):
        step()
    assert calls == ["destination.transaction", "transaction.lock_partition", "destination.commit"]
    assert destination.metadata.markers("shop") == {}


def test_a_broker_comes_back_with_an_older_state() -> None:
    broker = MemoryBroker(clock=lambda: 0.0)
    wakeups = MemoryWakeups(broker)
    saved = broker.save()
    assert wakeups.schedule([apply_wakeup(Partition(*REF, 0, 1))], "cid") == 1
    later = broker.save()
    broker.restore(saved)
    assert wakeups.take() is None
    broker.restore(later)
    assert wakeups.take() is not None
    broker.restore(later)
    assert wakeups.take() is not None, "what was saved is not changed by what comes after"
    broker.flush()
    assert wakeups.take() is None
