"""The contract of sources: what happens to whole tables (`warp.sources.base.TableEvent`)."""

from __future__ import annotations

from tests.contract.changes import TABLE, decoded, key, take
from tests.contract.sources import SourceBench
from tests.support.wait import eventually
from warp.change import RoutedChange
from warp.sources.base import ChangeStream, StreamBatch, StreamPoint, TableEvent, TableFate

DROPPED, REPLACED = TableFate.DROPPED, TableFate.REPLACED


def happened(stream: ChangeStream, number: int) -> tuple[list[TableEvent], list[RoutedChange]]:
    """That many events, and the changes that came before and with them."""
    events: list[TableEvent] = []
    changes: list[RoutedChange] = []

    def enough() -> bool:
        batch = stream.next_batch(0.2)
        events.extend(batch.events)
        changes.extend(batch.changes)
        return len(events) >= number

    eventually(enough)
    return events, changes


def test_a_drop_is_an_event_of_its_table(bench: SourceBench) -> None:
    bench.insert(TABLE, {"_id": 1})
    stream = bench.source.open_stream(bench.schema, None)
    bench.drop(TABLE)
    [event], changes = happened(stream, 1)
    assert (event.table, event.fate, event.cause, changes) == (TABLE, DROPPED, "drop", [])
    stream.close()


def test_the_time_of_an_event_parts_the_changes_before_it_from_those_after_it(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    bench.drop(TABLE)
    bench.insert(TABLE, {"_id": 1})
    [event], changes = happened(stream, 1)
    before, after = changes if len(changes) == 2 else [*changes, *take(stream, 2 - len(changes))]
    assert before.ts < event.ts < after.ts
    stream.close()


def test_a_rename_drops_one_table_and_replaces_another(bench: SourceBench) -> None:
    bench.insert("drafts", {"_id": 1})
    stream = bench.source.open_stream(bench.schema, None)
    bench.rename("drafts", TABLE)
    events, _ = happened(stream, 2)
    assert [(event.table, event.fate) for event in events] == [("drafts", DROPPED), (TABLE, REPLACED)]
    assert {event.cause for event in events} == {f"rename of drafts to {TABLE}"}
    assert events[0].ts <= events[1].ts
    stream.close()


def test_a_rename_over_a_table_is_no_drop_of_it(bench: SourceBench) -> None:
    for table in ("drafts", TABLE):
        bench.insert(table, {"_id": 1})
    stream = bench.source.open_stream(bench.schema, None)
    bench.rename("drafts", TABLE)
    bench.insert(TABLE, {"_id": 2})
    events, changes = happened(stream, 2)
    assert [(event.table, event.fate) for event in events] == [("drafts", DROPPED), (TABLE, REPLACED)]
    if not changes:
        changes = take(stream, 1)
    assert [change.key for change in decoded(bench, changes)] == [key(2)], "what it has since then comes by the stream"
    assert changes[0].ts > events[0].ts
    stream.close()


def test_renames_in_a_row_come_in_their_order(bench: SourceBench) -> None:
    bench.insert("a", {"_id": 1})
    stream = bench.source.open_stream(bench.schema, None)
    bench.rename("a", "b")
    bench.rename("b", "c")
    events, _ = happened(stream, 4)
    assert [(event.table, event.fate) for event in events] == [
        ("a", DROPPED),
        ("b", REPLACED),
        ("b", DROPPED),
        ("c", REPLACED),
    ]
    assert events[1].ts < events[2].ts
    stream.close()


def test_an_event_comes_again_from_a_point_before_it_and_not_from_one_after_it(bench: SourceBench) -> None:
    stream = bench.source.open_stream(bench.schema, None)
    bench.insert(TABLE, {"_id": 1})
    (change,) = take(stream, 1)
    bench.drop(TABLE)
    events, _ = happened(stream, 1)
    end = stream.point
    stream.close()
    again = bench.source.open_stream(bench.schema, StreamPoint(position=change.position, ts=change.ts))
    assert happened(again, 1) == (events, [])
    again.close()
    after = bench.source.open_stream(bench.schema, end)
    bench.insert(TABLE, {"_id": 2})
    batches: list[StreamBatch] = []

    def come() -> bool:
        batches.append(after.next_batch(0.2))
        return bool(batches[-1].changes)

    eventually(come)
    assert not [event for batch in batches for event in batch.events]
    after.close()


def test_a_replaced_table_is_read_as_it_is_at_the_event_or_later(bench: SourceBench) -> None:
    bench.insert("drafts", {"_id": 1, "v": "new"})
    bench.insert(TABLE, {"_id": 2, "v": "old"})
    stream = bench.source.open_stream(bench.schema, None)
    bench.rename("drafts", TABLE)
    events, _ = happened(stream, 2)
    [chunk] = bench.source.split(bench.schema, TABLE, 10)
    [piece] = bench.source.read(bench.schema, TABLE, chunk, bench.source.now())
    assert [(found, dict(record)) for found, record in piece.documents] == [(key(1), {"v": "new"})]
    assert piece.ts >= events[1].ts
    stream.close()
