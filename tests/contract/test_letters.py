"""The contract of dead letters: what supersedes them, how they are found, and what becomes of them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.destinations import DestinationBench
from tests.contract.steps import REF, delete, evolve, key, letter, load, make_table, shown, table_state, upsert
from warp.change import BEGINNING, Key, KeyKind, Operation, TableRef, Write
from warp.errors import Fatal, Poison, Transient
from warp.evolution.shape import Shape
from warp.metadata.base import DeadLetter, LetterFilter, LetterState, StoredLetter

ODD_KEY = Key(KeyKind.STRING, "a\0b\udcff'\"")


def _park(target: DestinationBench, *letters: DeadLetter) -> list[StoredLetter]:
    """Park letters; as they are kept, in order."""
    with target.destination.transaction() as transaction:
        transaction.park(letters)
    found = target.destination.metadata.letters(LetterFilter(), len(letters))
    return [stored for number in reversed(found) if (stored := target.destination.metadata.letter(number.number))]


def _states(target: DestinationBench) -> list[LetterState]:
    return [stored.state for stored in reversed(target.destination.metadata.letters(LetterFilter(), None))]


def test_a_letter_is_kept_whole(target: DestinationBench) -> None:
    make_table(target)
    parked = replace(
        letter("8201", ODD_KEY),
        payload=bytes(range(256)),
        traceback="frames",
        remedy="mend it",
        operation=Operation.UPDATE,
    )
    (stored,) = _park(target, parked)
    assert stored.letter == parked
    assert (stored.state, stored.attempts, stored.resolved_at) == (LetterState.OPEN, 1, None)
    assert stored.parked_at.tzinfo is not None
    assert target.destination.metadata.letter(stored.number + 1) is None


def test_a_change_that_is_parked_again_is_the_letter_that_it_was(target: DestinationBench) -> None:
    make_table(target)
    (stored,) = _park(target, letter("8201", key("a")))
    target.destination.metadata.discard_letter(stored.number)
    _park(target, replace(letter("8201", key("a")), error="another"))
    again = target.destination.metadata.letter(stored.number)
    assert again is not None
    assert (again.state, again.letter) == (LetterState.DISCARDED, stored.letter)


def test_of_the_changes_of_one_source_transaction_the_last_is_open(target: DestinationBench) -> None:
    make_table(target)
    _park(target, replace(letter("8202", key("a")), ts=20), replace(letter("8202", key("b")), ts=20))
    _park(target, replace(letter("8204", key("a")), ts=20))
    _park(target, replace(letter("8206", key("a")), ts=21))
    assert _states(target) == [LetterState.SUPERSEDED, LetterState.OPEN, LetterState.OPEN, LetterState.OPEN]


def test_a_document_that_another_load_cannot_write_is_open_again(target: DestinationBench) -> None:
    """A load's letter has no position: without this, what a later load could not write would be nowhere."""
    make_table(target)
    (stored,) = _park(target, letter(BEGINNING, key("a"), 10))
    target.destination.metadata.discard_letter(stored.number)
    later = replace(letter(BEGINNING, key("a"), 20), error="another")
    _park(target, later)
    again = target.destination.metadata.letter(stored.number)
    assert again is not None
    assert (again.state, again.letter, again.attempts, again.resolved_at) == (LetterState.OPEN, later, 2, None)
    assert len(target.destination.metadata.letters(LetterFilter(), None)) == 1


def test_letters_are_listed_newest_first_without_their_payloads(target: DestinationBench) -> None:
    make_table(target)
    parked = [letter(f"820{number}") for number in range(4)]
    _park(target, *parked)
    found = target.destination.metadata.letters(LetterFilter(), 3)
    assert [stored.letter for stored in found] == [replace(each, payload=b"") for each in reversed(parked[1:])]
    assert len(target.destination.metadata.letters(LetterFilter(), None)) == 4


OTHER = TableRef("elsewhere", "carts")


@pytest.fixture
def four(target: DestinationBench) -> list[int]:
    """The numbers of four letters."""
    make_table(target)
    stored = _park(
        target,
        letter("8201", key("a")),
        letter("8202", ODD_KEY),
        replace(letter("8203", key("a")), ref=OTHER),
        replace(letter("8204", key("b")), error_class="Fatal", error="the row breaks a constraint"),
    )
    target.destination.metadata.discard_letter(stored[1].number)
    return [each.number for each in stored]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, [0, 1, 2, 3]),
        ({"schema": "shop"}, [0, 1, 3]),
        ({"schema": "shop", "table": "carts"}, []),
        ({"table": "carts"}, [2]),
        ({"key": "a"}, [0, 2]),
        ({"error": "fatal"}, [3]),
        ({"error": "Breaks A"}, [3]),
        ({"error": "cannot be stored"}, [0, 1, 2]),
        ({"error": "%"}, []),
        ({"state": LetterState.OPEN}, [0, 2, 3]),
        ({"state": LetterState.DISCARDED}, [1]),
        ({"older_than": timedelta(hours=1)}, []),
        ({"newer_than": timedelta(hours=1)}, [0, 1, 2, 3]),
        ({"older_than": timedelta(0), "newer_than": timedelta(hours=1), "table": "orders", "key": "b"}, [3]),
    ],
)
def test_letters_are_found_by_what_is_known_of_them(
    target: DestinationBench, four: list[int], chosen: dict[str, Any], found: list[int]
) -> None:
    stored = target.destination.metadata.letters(LetterFilter(**chosen), None)
    assert sorted(each.number for each in stored) == [four[index] for index in found]


def test_letters_are_found_by_number(target: DestinationBench, four: list[int]) -> None:
    wanted = [four[2], four[0], 999_999]
    stored = target.destination.metadata.letters(LetterFilter(numbers=wanted), None)
    assert [each.number for each in stored] == [four[2], four[0]]
    assert target.destination.metadata.letters(LetterFilter(numbers=[]), None) == []


def test_open_letters_are_listed_by_schema_the_newest_of_them(target: DestinationBench, four: list[int]) -> None:
    assert target.destination.metadata.open_letters("shop", 9) == {four[3]: REF, four[0]: REF}
    assert target.destination.metadata.open_letters("shop", 1) == {four[3]: REF}
    assert target.destination.metadata.open_letters("elsewhere", 9) == {four[2]: OTHER}
    assert target.destination.metadata.open_letters("nowhere", 9) == {}


def test_a_letter_is_discarded_once_and_kept(target: DestinationBench, four: list[int]) -> None:
    metadata = target.destination.metadata
    assert metadata.discard_letter(four[0])
    assert not metadata.discard_letter(four[0])
    assert not metadata.discard_letter(999_999)
    stored = metadata.letter(four[0])
    assert stored is not None
    assert stored.state is LetterState.DISCARDED
    assert stored.resolved_at is not None
    assert table_state(target).open_letters == 1


@pytest.fixture(params=["upsert", "load", "delete", "soft delete"])
def act(request: pytest.FixtureRequest) -> Any:
    """What settles letters: called with target, shape, ts and names."""

    def act(target: DestinationBench, shape: Shape, ts: int, *names: str) -> int:
        match request.param:
            case "upsert":
                return upsert(target, shape, ts, *names).superseded
            case "load":
                return load(target, shape, ts, *names).superseded
            case _:
                soft = request.param == "soft delete"
                return delete(target, shape, ts, *names, soft=soft, tombstones=True).superseded

    act.soft = request.param == "soft delete"  # type: ignore[attr-defined]
    return act


def test_a_later_state_of_a_document_supersedes_its_letters(target: DestinationBench, act: Any) -> None:
    """With no row there, too: of a document that was deleted nothing else is left."""
    shape = make_table(target, soft=act.soft)
    _park(
        target, letter("1", key("a"), 10), letter("2", key("a"), 20), letter("3", key("a"), 21), letter("4", key("b"))
    )
    assert act(target, shape, 20, "a", "c") == 2
    assert _states(target) == [LetterState.SUPERSEDED, LetterState.SUPERSEDED, LetterState.OPEN, LetterState.OPEN]
    assert table_state(target).open_letters == 2


def test_a_state_that_finds_its_row_newer_supersedes_too(target: DestinationBench, act: Any) -> None:
    shape = make_table(target, soft=act.soft)
    upsert(target, shape, 50, "a")
    _park(target, letter("1", key("a"), 10), letter("2", key("a"), 45))
    assert act(target, shape, 40, "a") == 1
    assert shown(target) == {"a": 1}
    assert _states(target) == [LetterState.SUPERSEDED, LetterState.OPEN]


def test_an_odd_key_is_superseded_like_any_other(target: DestinationBench) -> None:
    shape = evolve(target.destination, {"v": 1}, keys=[ODD_KEY]).after
    _park(target, letter("1", ODD_KEY, 10), letter("2", ODD_KEY._replace(kind=KeyKind.JSON), 10))
    with target.destination.transaction() as transaction:
        assert transaction.upsert(REF, shape, [Write(ODD_KEY, 20, {"v": 1})]).superseded == 1
    assert _states(target) == [LetterState.SUPERSEDED, LetterState.OPEN]


def test_what_cannot_be_stored_supersedes_nothing(target: DestinationBench) -> None:
    shape, poison = make_table(target), target.poison_key()
    _park(target, letter("1", poison, 10), letter("2", key("a"), 10))
    with target.destination.transaction() as transaction:
        with pytest.raises(Poison):
            transaction.upsert(REF, shape, [Write(poison, 20, {"v": 1}), Write(key("a"), 20, {"v": 1})])
        assert transaction.upsert(REF, shape, [Write(key("a"), 20, {"v": 1})]).superseded == 1
        transaction.park([letter("3", poison, 20)])
    assert _states(target) == [LetterState.OPEN, LetterState.SUPERSEDED, LetterState.OPEN]


def test_letters_that_are_settled_stay_as_they_are(target: DestinationBench) -> None:
    shape = make_table(target)
    (stored,) = _park(target, letter("1", key("a"), 10))
    target.destination.metadata.discard_letter(stored.number)
    assert upsert(target, shape, 20, "a").superseded == 0
    assert _states(target) == [LetterState.DISCARDED]


def test_what_is_rolled_back_superseded_nothing(target: DestinationBench) -> None:
    shape = make_table(target)
    _park(target, letter("1", key("a"), 10))

    def roll_back() -> None:
        with target.destination.transaction() as transaction:
            transaction.upsert(REF, shape, [Write(key("a"), 20, {"v": 1})])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        roll_back()
    assert _states(target) == [LetterState.OPEN]


def test_a_replay_settles_its_letter_although_its_own_write_superseded_it(target: DestinationBench) -> None:
    shape = make_table(target)
    (stored,) = _park(target, letter("1", key("a"), 10))
    with target.destination.transaction() as transaction:
        assert transaction.lock_letter(stored.number) == stored
        transaction.upsert(REF, shape, [Write(key("a"), 10, {"v": 1})])
        transaction.settle_letter(stored.number, LetterState.APPLIED)
    settled = target.destination.metadata.letter(stored.number)
    assert settled is not None
    assert (settled.state, settled.attempts) == (LetterState.APPLIED, 2)
    assert settled.resolved_at is not None
    with target.destination.transaction() as transaction:
        assert transaction.lock_letter(stored.number) is None
        assert transaction.lock_letter(999_999) is None


def test_a_replay_that_fails_keeps_its_letter_open_with_the_new_error(target: DestinationBench) -> None:
    make_table(target)
    (stored,) = _park(target, letter("1", key("a"), 10))
    with target.destination.transaction() as transaction:
        transaction.lock_letter(stored.number)
        transaction.fail_letter(stored.number, Fatal("another", remedy="mend it"), "elsewhere")
    failed = target.destination.metadata.letter(stored.number)
    expected = replace(stored.letter, error_class="Fatal", error="another", remedy="mend it", traceback="elsewhere")
    assert failed == replace(stored, letter=expected, attempts=2)


def test_a_letter_that_is_locked_is_waited_for(target: DestinationBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warp.destinations.postgresql.client.LOCK_TIMEOUT_MS", 100)
    shape = make_table(target)
    (stored,) = _park(target, letter("1", key("a"), 10))
    with closing(target.another()) as other:
        with target.destination.transaction() as transaction:
            transaction.lock_letter(stored.number)
            with pytest.raises(Transient), other.transaction() as another:
                another.upsert(REF, shape, [Write(key("a"), 20, {"v": 1})])
            with pytest.raises(Transient):
                other.metadata.discard_letter(stored.number)
        assert other.metadata.discard_letter(stored.number)
