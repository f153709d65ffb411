"""A table whose layout the configuration changes, over in-memory parts: it is blocked, and nothing is mixed into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.tailer import Tailer
from tests.unit.mirror import REF, SCHEMA, TABLE, Mirror
from tests.unit.parts import key
from warp.change import PATH, Partition
from warp.errors import Fatal
from warp.evolution.decide import decide
from warp.evolution.infer import Seen
from warp.evolution.rules import Layout, Rules
from warp.layouts import require_layout
from warp.metadata.base import LetterState
from workers.replay import Outcome, Replayer
from workers.report import Report

OTHER = "the table was made with layout: columns, flatten_depth: 0, and the configuration says layout: "
PARTITION = Partition(*REF, 0, 1)


def _begun(**fields: Any) -> tuple[Mirror, Tailer]:
    mirror = Mirror()
    mirror.insert(1, a={"b": 1}, **fields)
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    return mirror, tailer


def _blocked(mirror: Mirror) -> str | None:
    [table] = [table for table in mirror.metadata.tables(SCHEMA) if table.ref == REF]
    return table.blocked.reason if table.blocked else None


def _flattened(mirror: Mirror) -> None:
    mirror.flatten_depth = 1


def _whole(mirror: Mirror) -> None:
    mirror.layout = Layout.DOCUMENT


@pytest.mark.parametrize(
    ("change", "said"), [(_flattened, "columns, flatten_depth: 1"), (_whole, "document")], ids=["depth", "layout"]
)
def test_changes_of_a_table_of_another_layout_wait(change: Callable[[Mirror], None], said: str) -> None:
    mirror, tailer = _begun()
    shape, rows = mirror.database.shapes[REF], mirror.rows()
    change(mirror)
    mirror.insert(2, a={"b": 2})
    mirror.source.delete(SCHEMA, TABLE, 1)
    mirror.catch_up(tailer)
    assert _blocked(mirror) == OTHER + said
    assert (mirror.database.shapes[REF], mirror.rows()) == (shape, rows)
    assert len(mirror.entries()) > 0

    mirror.layout, mirror.flatten_depth = Layout.COLUMNS, 0
    mirror.advance(60)
    mirror.catch_up(tailer)
    assert _blocked(mirror) is None
    assert mirror.identical()
    assert mirror.rows().keys() == {"2"}


def test_a_load_into_a_table_of_another_layout_waits() -> None:
    mirror, _ = _begun()
    rows = mirror.rows()
    _flattened(mirror)
    mirror.insert(2, a={"b": 2})
    mirror.metadata.replace_table(REF, mirror.source.now(), 1, "for a test")
    mirror.snapshots.tick()
    [chunk] = mirror.metadata.missing_chunks(REF, 10)
    with pytest.raises(Fatal, match="was made with"):
        mirror.loader().load(REF, chunk, "cid", going_on=lambda: True)
    assert mirror.rows() == rows
    assert PATH.join("ab") not in mirror.database.shapes[REF].columns


def test_a_letter_of_a_table_of_another_layout_stays_open() -> None:
    mirror, tailer = _begun()
    mirror.database.poison.add(key(2))
    mirror.insert(2, a={"b": 2})
    mirror.catch_up(tailer)
    [stored] = mirror.database.letters.values()
    mirror.database.poison.clear()
    replayer = Replayer(
        mirror.source, mirror.destination, settings=mirror.settings, report=Report(), wait=mirror.advance
    )
    _flattened(mirror)
    failed = replayer.replay(stored.number)
    assert (failed.outcome, str(failed.error)) == (Outcome.FAILED, OTHER + "columns, flatten_depth: 1")
    assert mirror.rows().keys() == {"1"}
    mirror.flatten_depth = 0
    assert replayer.replay(stored.number).outcome is Outcome.APPLIED
    [stored] = mirror.database.letters.values()
    assert stored.state is LetterState.APPLIED
    assert mirror.identical()


def test_what_the_remedy_says_makes_the_table_anew() -> None:
    mirror, tailer = _begun(plain=1)
    _flattened(mirror)
    mirror.insert(2, a={"b": 2})
    mirror.catch_up(tailer)
    assert _blocked(mirror)

    mirror.excluded = {TABLE}
    mirror.catch_up(mirror.tailer())
    del mirror.database.rows[REF]  # dropped by hand
    mirror.excluded = set()
    mirror.advance(60)
    mirror.catch_up(mirror.tailer())
    assert _blocked(mirror) is None
    assert mirror.database.shapes[REF].columns.keys() == {PATH.join("ab"), "plain"}
    assert mirror.rows().keys() == {"1", "2"}
    assert mirror.identical()


def test_two_workers_that_know_different_layouts_mix_nothing() -> None:
    """One makes the table while the other, which has seen that there is none, is about to."""
    mirror = Mirror()
    tailer = mirror.tailer()
    mirror.catch_up(tailer)
    mirror.insert(1, a={"b": 1})
    tailer.tick()
    made = decide(None, Seen(), Rules()).after
    mirror.meanwhile["destination.evolve"] = [lambda: mirror.database.shapes.update({REF: made})]
    _flattened(mirror)
    with pytest.raises(Fatal, match="was made with"):
        mirror.applier().step(PARTITION)
    assert mirror.database.shapes[REF] == made


def test_the_layout_that_a_table_was_made_with_takes_everything() -> None:
    for rules in (Rules(), Rules(flatten_depth=2), Rules(layout=Layout.DOCUMENT), Rules(layout=Layout.HISTORY)):
        shape = decide(None, Seen(), rules).after
        require_layout(shape, rules)
        for other in (Rules(flatten_depth=1), Rules(flatten_depth=3)):
            with pytest.raises(Fatal) as failure:
                require_layout(shape, other)
            assert "exclude: true" in (failure.value.remedy or "")
