"""The rules of evolution against a real PostgreSQL: what is allowed, what is refused, and what is written then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest

from tests.integration.evolving import Worker
from tests.integration.tables import TABLE, columns
from warp.change import Record
from warp.destinations.postgresql import facts
from warp.destinations.postgresql.destination import PostgresDestination
from warp.evolution.rules import Conflict, Rewrite, Settled
from warp.evolution.shape import Column
from warp.metadata import registry
from warp.values import Kind


@pytest.fixture
def worker(destination: PostgresDestination) -> Worker:
    """A worker with the rules at their defaults."""
    return Worker(destination)


def under(worker: Worker, rewrite: Rewrite = Rewrite.SMALL, conflict: Conflict = Conflict.EXTRA) -> Worker:
    """The same worker by other rules."""
    return replace(worker, settings=replace(worker.settings, rewrite=rewrite, conflict=conflict))


def test_a_table_that_is_not_small_is_not_written_anew(
    worker: Worker, postgresql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "SMALL_ROWS", 2)
    worker.write(a={"v": 1, "w": 1}, b={"v": 2})
    worker.write(a={"v": Decimal("1.5"), "w": 1})
    assert (worker.column().kind, columns(postgresql)["v"]) == (Kind.DECIMAL, "numeric")
    worker.write(c={"v": 3})
    written, _ = worker.write(c={"w": Decimal("1.5")})
    assert written.kept == {("w", "does_not_fit"): 1}
    assert worker.column("w") == Column(name="w", kind=Kind.INT, settled={Kind.DECIMAL: Settled.REWRITE_SMALL})
    assert worker.holds(a={"v": Decimal("1.5"), "w": 1}, b={"v": 2}, c={"w": Decimal("1.5")})
    under(worker, Rewrite.ALWAYS).write(d={"w": Decimal("2.5")})
    assert worker.column("w") == Column(name="w", kind=Kind.DECIMAL)
    assert worker.holds(c={"w": Decimal("1.5")}, d={"w": Decimal("2.5")}), "a row keeps what it has in _extra"


def test_a_table_that_must_never_be_written_anew_is_not(worker: Worker, postgresql: psycopg.Connection) -> None:
    worker = under(worker, Rewrite.NEVER, Conflict.TEXT)
    worker.write(a={"v": 1, "t": "text"})
    worker.write(b={"v": 0.5, "t": 7}, c={"v": "text"})
    assert worker.column().settled == {Kind.DOUBLE: Settled.REWRITE_NEVER, Kind.STRING: Settled.REWRITE_NEVER}
    assert worker.column("t").kind is Kind.TEXT, "whose type stays the same"
    assert (columns(postgresql)["v"], columns(postgresql)["t"]) == ("bigint", "text")
    assert worker.holds(a={"v": 1, "t": "text"}, b={"v": 0.5, "t": 7}, c={"v": "text"})


def _view(postgresql: psycopg.Connection) -> None:
    postgresql.execute(f'CREATE VIEW rests AS SELECT v FROM "{TABLE.schema}"."{TABLE.table}"'.encode())


def _check(postgresql: psycopg.Connection) -> None:
    postgresql.execute(f'ALTER TABLE "{TABLE.schema}"."{TABLE.table}" ADD CHECK (v & 1 = 1)'.encode())


@pytest.mark.parametrize("rests", [_view, _check])
def test_what_somebody_made_on_a_column_keeps_it_from_being_widened_and_stops_nothing(
    rests: Callable[[psycopg.Connection], None], worker: Worker, postgresql: psycopg.Connection
) -> None:
    worker.write(a={"v": 1, "w": 1})
    rests(postgresql)
    worker.write(b={"v": Decimal("0.5"), "w": Decimal("0.5"), "new": 1})
    assert worker.column().settled == {Kind.DECIMAL: Settled.REFUSED}
    assert columns(postgresql)["v"] == "bigint"
    assert columns(postgresql)["new"] == "bigint"
    assert worker.holds(a={"v": 1, "w": 1}, b={"v": Decimal("0.5"), "w": Decimal("0.5"), "new": 1})


def test_rows_that_would_not_fit_on_a_page_any_more_keep_their_table_as_it_is(worker: Worker) -> None:
    record: Record = {f"f{number}": 2**62 + number for number in range(500)}
    worker = under(worker, conflict=Conflict.TEXT)
    worker.write(a=record)
    worker.write(b=dict.fromkeys(record, "text"))
    assert {column.kind for column in worker.shape().columns.values()} == {Kind.INT}
    assert all(column.settled == {Kind.STRING: Settled.REFUSED} for column in worker.shape().columns.values())
    assert worker.holds(a=record, b=dict.fromkeys(record, "text"))


def test_many_columns_become_text_at_once(worker: Worker) -> None:
    record: Record = {f"f{number}": number for number in range(120)} | {"odd": None}
    worker.write(a=record)
    worker = under(worker, conflict=Conflict.TEXT)
    worker.ts = 1
    worker.write(b={name: "text" for name in record if name != "odd"})
    assert {column.kind for column in worker.shape().columns.values()} == {Kind.TEXT}
    assert worker.holds(a=record, b={name: "text" for name in record if name != "odd"})


def test_an_int_that_came_meanwhile_and_no_double_is_stays_exact(
    worker: Worker, postgresql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, other = {"v": 2**53 + 1, "odd": None}, {"v": -(2**62) - 1}
    worker.write(a=far, b=other, c={"v": 2**53})
    monkeypatch.setattr(facts.TableFacts, "is_exact_in_double", lambda *_: True)  # it was, when it was asked
    worker.write(d={"v": 0.5})
    assert columns(postgresql)["v"] == "double precision"
    assert worker.holds(a=far, b=other, c={"v": 2**53}, d={"v": 0.5})


def test_a_conflict_can_make_dead_letters_until_the_rule_is_another(worker: Worker) -> None:
    strict = under(worker, conflict=Conflict.DEAD_LETTER)
    strict.write(a={"v": True}, b={"v": False})
    written, [poison] = strict.write(c={"v": "secret", "w": 1}, d={"v": False})
    assert (written.upserted, written.kept) == (1, {})
    assert worker.holds(a={"v": True}, b={"v": False}, d={"v": False})
    assert str(poison) == (
        'the field "v" holds a value of the kind string, which its column of the kind bool does not take '
        "(evolution.conflict: dead_letter)"
    )
    assert "secret" not in f"{poison!r} {poison.remedy}"
    strict.ts = worker.ts = 10
    written, refused = worker.write(c={"v": "secret", "w": 1})
    assert (written.upserted, refused) == (1, [])
    assert worker.column().settled == {Kind.STRING: Settled.CONFLICT_EXTRA}
    assert worker.holds(c={"v": "secret", "w": 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((Rewrite.SMALL, Conflict.EXTRA), (Rewrite.SMALL, Conflict.DEAD_LETTER)),
        ((Rewrite.NEVER, Conflict.EXTRA), (Rewrite.SMALL, Conflict.EXTRA)),
    ],
)
def test_workers_of_different_rules_decide_anew_only_where_such_a_value_comes(
    one: tuple[Rewrite, Conflict], other: tuple[Rewrite, Conflict], worker: Worker, postgresql: psycopg.Connection
) -> None:
    worker.write(a={"v": 1, "w": 1})
    under(worker, *one).write(b={"v": "text", "w": Decimal("0.5")})
    versions = registry.versions(postgresql, TABLE.schema)
    for number in range(4):
        for name, rules in {"c": one, "d": other}.items():
            written, refused = under(worker, *rules).write(**{name: {"v": number, "w": number}})
            assert (written.upserted, refused) == (1, [])
    assert registry.versions(postgresql, TABLE.schema) == versions
    assert worker.holds(c={"v": 3, "w": 3}, d={"v": 3, "w": 3})


def test_every_decision_is_a_version(worker: Worker, postgresql: psycopg.Connection) -> None:
    worker.write(a={"v": 1, "w": 1})
    worker.write(b={"v": 0.5, "w": "text"})
    worker.write(c={"w": True})
    _, second, third = registry.versions(postgresql, TABLE.schema)
    assert second.before is not None
    assert second.after is not None
    assert third.after is not None
    assert {name: column.kind for name, column in second.before.columns.items()} == {"v": Kind.INT, "w": Kind.INT}
    assert second.after.columns["v"] == Column(name="v", kind=Kind.DOUBLE)
    assert second.after.columns["w"].settled == {Kind.STRING: Settled.CONFLICT_EXTRA}
    assert list(third.after.columns["w"].settled) == [Kind.BOOL, Kind.STRING]
    assert [(version.cause, version.position) for version in (second, third)] == [("test", "00020"), ("test", "00030")]
