"""The contract of destinations: what columns do not take is told, and decided on (`warp.destinations.base`)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import REF, key, load, make_table, shown, upsert
from warp.change import Record, Write
from warp.errors import Poison
from warp.evolution.decide import Decision
from warp.evolution.infer import Seen
from warp.evolution.rules import Conflict, Rules, Settled
from warp.evolution.shape import Shape
from warp.sources.base import StoredJson
from warp.values import Kind, Value


def evolve(target: DestinationBench, shape: Shape, record: Record, conflict: Conflict = Conflict.EXTRA) -> Decision:
    """Have it decided what becomes of such a record, which the columns did not take."""
    with target.destination.transaction() as transaction:
        written = transaction.upsert(REF, shape, [Write(key("tried"), 1, record)])
    seen = Seen()
    seen.add_misfits(written.misfits, [record], shape)
    return target.destination.evolve(REF, seen, Rules(conflict=conflict), cause="test")


def test_what_did_not_fit_is_told(target: DestinationBench) -> None:
    shape = make_table(target, {"v": 1, "text": "x", "other": 1})
    records: list[Record] = [{"v": "x", "text": "y"}, {"v": True, "other": None}, {"v": 2, "none": "x"}]
    with target.destination.transaction() as transaction:
        upserted = transaction.upsert(REF, shape, [Write(key("a"), 1, records[0]), Write(key("b"), 1, records[1])])
        loaded = transaction.load(REF, shape, [Write(key("c"), 1, records[2]), Write(key("d"), 1, records[0])])
    assert upserted.misfits == {"v": {Kind.STRING, Kind.BOOL}}
    assert loaded.misfits == {"v": {Kind.STRING}}


def test_it_is_settled_once_and_rows_stay_what_they_are(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 1, "a")
    decision = evolve(target, shape, {"v": "text"})
    assert decision.after.columns["v"].settled == {Kind.STRING: Settled.CONFLICT_EXTRA}
    assert target.destination.tables(REF.schema)[REF.table] == decision.after
    assert not evolve(target, decision.after, {"v": "text"}).changes
    with target.destination.transaction() as transaction:
        assert transaction.shape(REF) == decision.after
    assert shown(target) == {"a": 1, "tried": StoredJson('"text"')}


def test_a_column_becomes_another_with_its_rows(target: DestinationBench) -> None:
    shape = make_table(target)
    upsert(target, shape, 1, "a")
    decision = evolve(target, shape, {"v": Decimal("0.5")})
    assert [(field, after.kind) for field, (_, after) in decision.widened.items()] == [("v", Kind.DECIMAL)]
    upsert(target, decision.after, 2, "b", "tried", v=Decimal("1.5"))
    assert shown(target) == {"a": 1, "b": Decimal("1.5"), "tried": Decimal("1.5")}


@pytest.mark.parametrize(("conflict", "kind"), [(Conflict.TEXT, Kind.TEXT), (Conflict.JSONB, Kind.ANY)])
def test_a_column_that_takes_all_reports_no_misfits(conflict: Conflict, kind: Kind, target: DestinationBench) -> None:
    shape = make_table(target, {"v": "text"})
    wide = evolve(target, shape, {"v": 1}, conflict).after
    assert wide.columns["v"].kind is kind
    values: list[Value] = ["text", 1, 0.5, True, None, Decimal(1), b"x"]
    for number, value in enumerate(values):
        assert upsert(target, wide, 1, f"v{number}", v=value).misfits == {}
    written = upsert(target, wide, 2, "v0", "v1", v=1)
    assert written.kept == ({("v", "text"): 2} if kind is Kind.TEXT else {})


@pytest.mark.parametrize("put", [upsert, load])
def test_documents_become_dead_letters_where_that_is_settled(put: object, target: DestinationBench) -> None:
    shape = make_table(target)
    strict = evolve(target, shape, {"v": "secret"}, Conflict.DEAD_LETTER).after
    assert strict.columns["v"].settled == {Kind.STRING: Settled.CONFLICT_DEAD_LETTER}
    writes = [Write(key("good"), 2, {"v": 1}), Write(key("bad"), 2, {"v": "secret"})]
    with target.destination.transaction() as transaction:
        write = transaction.upsert if put is upsert else transaction.load
        with pytest.raises(Poison, match='field "v" holds a value of the kind string') as raised:
            write(REF, strict, writes)
        write(REF, strict, writes[:1])
    assert "secret" not in str(raised.value)
    assert raised.value.remedy
    assert set(shown(target)) == {"tried", "good"}
