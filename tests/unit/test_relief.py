"""Logs that are drained without wake-ups."""

from __future__ import annotations

from tests.unit.mirror import REF, SCHEMA, Mirror
from warp.change import Partition, TableRef
from warp.errors import Transient
from workers.relief import Relief

DOCUMENTS = 3


def _sent() -> Mirror:
    """A mirror with an entry for each of some documents in its log, of which no worker has been told."""
    mirror = Mirror(batch_size=1)
    tailer = mirror.tailer()
    tailer.tick()
    mirror.insert(*range(DOCUMENTS))
    tailer.tick()
    assert mirror.wakeups.take() is not None
    return mirror


def _relief(mirror: Mirror) -> Relief:
    return Relief([SCHEMA], mirror.applier(), mirror.logs, mirror.metadata, stop=mirror.stop)


def test_each_call_does_one_step_until_nothing_is_left() -> None:
    mirror = _sent()
    relief = _relief(mirror)
    assert [relief() for _ in range(DOCUMENTS + 1)] == [1] * DOCUMENTS + [0]
    assert (mirror.identical(), mirror.entries()) == (True, [])


def test_it_takes_no_memory_of_the_transport() -> None:
    mirror = _sent()
    relief = _relief(mirror)
    mirror.calls.clear()
    while relief():
        pass
    assert {call for call in mirror.calls if call.startswith(("logs.", "wakeups."))} == {
        "logs.backlog",
        "logs.read",
        "logs.remove",
    }


def test_a_log_with_a_gap_is_emptied_although_nobody_can_be_asked() -> None:
    mirror = _sent()
    [first, *_] = mirror.logs.read(Partition(*REF, 0, 1), None, 1)
    mirror.logs.remove(Partition(*REF, 0, 1), [first])
    mirror.fail["logs.request_resend"] = [Transient("no memory")] * DOCUMENTS
    relief = _relief(mirror)
    for _ in range(DOCUMENTS):
        relief()
    assert mirror.entries() == []


def test_what_fails_does_not_keep_the_others_from_getting_on() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.source.insert(SCHEMA, "carts", {"_id": 1})
    mirror.insert(1)
    tailer.tick()
    mirror.fail["destination.transaction"] = [Transient("carts come first")]
    assert _relief(mirror)() == 1
    assert mirror.rows().keys() == {"1"}
    assert mirror.logs.tails([Partition(*TableRef(SCHEMA, "carts"), 0, 1)]) != [None]


def test_blocked_tables_are_left_alone() -> None:
    mirror = _sent()
    mirror.metadata.block(REF, "altered by hand", None)
    assert _relief(mirror)() == 0
    assert len(mirror.entries()) == DOCUMENTS


def test_it_ends_with_the_process() -> None:
    mirror = _sent()
    mirror.stop.set()
    assert _relief(mirror)() == 0
    assert len(mirror.entries()) == DOCUMENTS
