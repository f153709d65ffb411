"""What a source holds without telling of it is noted for a person, and verify does not call it mirrored."""

from __future__ import annotations

from scheduler.tailer import CHECK_SECONDS
from scheduler.unmirrored import LOOK_SECONDS
from tests.unit.mirror import SCHEMA, Mirror
from warp.errors import NotMirrored
from warp.verify import verify_schema

NAME = "$utf8:ff"
ERROR = NotMirrored("its name is not UTF-8", remedy="rename it")


def _noted(mirror: Mirror) -> list[tuple[str | None, str, str | None, int]]:
    found = mirror.metadata.errors(SCHEMA, 10)
    return [(error.table, error.error_class, error.remedy, error.occurrences) for error in found]


def test_a_table_is_noted_once_by_each_tailer() -> None:
    mirror = Mirror()
    mirror.source.silent[NAME] = ERROR
    mirror.insert(1)
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.advance(LOOK_SECONDS)
    mirror.catch_up(tailer)
    assert _noted(mirror) == [(NAME, "NotMirrored", "rename it", 1)]
    assert mirror.identical()
    mirror.tailer().tick()
    assert _noted(mirror) == [(NAME, "NotMirrored", "rename it", 2)]


def test_a_table_that_comes_later_is_noted_within_a_minute() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    tailer.tick()
    mirror.source.silent[NAME] = ERROR
    mirror.advance(CHECK_SECONDS)
    tailer.tick()
    assert _noted(mirror) == [], "the source is not asked every second"
    mirror.advance(LOOK_SECONDS)
    tailer.tick()
    assert _noted(mirror) == [(NAME, "NotMirrored", "rename it", 1)]


def test_one_that_is_excluded_is_not_noted() -> None:
    mirror = Mirror()
    mirror.source.silent[NAME] = ERROR
    mirror.excluded = {NAME}
    mirror.tailer().tick()
    assert _noted(mirror) == []


def test_what_the_stream_passes_over_is_noted_and_the_rest_of_the_batch_sent() -> None:
    mirror = Mirror()
    tailer = mirror.tailer()
    mirror.source.unsent.append(NotMirrored("the key is too large", remedy="a shorter one"))
    mirror.insert(1, 2)
    mirror.catch_up(tailer)
    assert _noted(mirror) == [(None, "NotMirrored", "a shorter one", 1)]
    assert mirror.identical()
    assert mirror.rows().keys() == {"1", "2"}


def test_verify_says_that_it_is_not_mirrored() -> None:
    mirror = Mirror()
    mirror.source.silent[NAME] = ERROR
    mirror.insert(1)
    mirror.catch_up(mirror.tailer())
    silent, orders = verify_schema(mirror.source, mirror.destination, SCHEMA, patience=0)
    assert (silent.table, silent.error, silent.identical) == (NAME, "its name is not UTF-8", False)
    assert (orders.identical, orders.source_documents) == (True, 1)
    [silent, _] = verify_schema(mirror.source, mirror.destination, SCHEMA, mirrors=lambda table: table != NAME)
    assert (silent.excluded, silent.error, silent.identical) == (True, None, True)
