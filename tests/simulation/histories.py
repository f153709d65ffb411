"""Runs in which every table keeps its history: each change is a row, none is ever altered, and the last one is true."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from unittest.mock import patch

from scheduler.upheavals import Upheavals
from tests.simulation.deployment import Settings
from tests.simulation.history import Place, State
from tests.simulation.life import SCHEMA
from tests.simulation.weather import forecast
from tests.simulation.world import World
from warp.change import BEGINNING, TableRef
from warp.destinations.base import OnDrop
from warp.errors import StreamLost
from warp.evolution.rules import Layout
from warp.history import FIRST, LAST
from warp.layouts import form_of
from warp.metadata.base import LetterState, SchemaState
from warp.testing import history as histories
from warp.testing.database import HistoryEntry
from warp.testing.database import Place as RowPlace

_FORM = form_of(None, Layout.HISTORY, 0)
_UNSETTLED = frozenset({LetterState.OPEN, LetterState.DISCARDED})


class HistoryWorld(World):
    """A run over tables of the layout `history`, judged by what the source has done."""

    def __init__(self, seed: int, kind: str) -> None:
        super().__init__(seed, replace(forecast(seed, kind), on_drop=OnDrop.KEEP))
        self._truth = self  # type: ignore[assignment]
        self.wrongs: list[str] = []
        self._checkpoint = BEGINNING
        self._lost: list[list[str]] = []
        """From checkpoint to checkpoint: what a tailer took for lost. There may be two, one later than the other."""
        self._before: dict[Place, Mapping[RowPlace, HistoryEntry]] = {}

    def _settings(self, rng: random.Random) -> Settings:
        drawn = super()._settings(rng)
        tables = {table: replace(each, layout=Layout.HISTORY) for table, each in drawn.tables.items()}
        return replace(drawn, tables=tables)

    def run(self) -> list[str]:
        """Live through it; returns what went wrong."""
        carry_out = Upheavals.history_lost

        def history_lost(upheavals: Upheavals, lost: StreamLost) -> None:
            gap = [self._saved(), LAST]
            self._lost.append(gap)
            try:
                carry_out(upheavals, lost)
            finally:
                gap[1] = self._saved()

        with patch.object(Upheavals, "history_lost", history_lost):
            return super().run()

    def _saved(self) -> str:
        return self._database.schemas[SCHEMA].checkpoint.position

    def look(self) -> None:
        """Whether all rows are there that were, as they were."""
        for ref, by_key in self._database.histories.items():
            for key, entries in by_key.items():
                before = self._before.get((ref, key), {})
                if any(entries.get(place) is not entry for place, entry in before.items()):
                    self.wrongs.append(f"a row of {ref.table} {key.text} was altered, or is gone")
                if len(before) != len(entries):
                    self._before[ref, key] = dict(entries)

    def look_at_checkpoint(self, schema: SchemaState) -> None:
        """Whether every change that the checkpoint has passed is a row, or a dead letter."""
        if schema.checkpoint.position != self._checkpoint:
            self._checkpoint = schema.checkpoint.position
            self.wrongs += [
                f"the checkpoint passed {_text(place, state)}, which is no row"
                for place, state in self._without_row(self._checkpoint)
                if not self._has_letter(place, state, frozenset(LetterState))
            ]

    def _differences(self) -> list[str]:
        found = [
            f"{_text(place, state)} is no row"
            for place, state in self._without_row(self._history.position)
            if place[0] not in self._destination.broken and not self._has_letter(place, state, _UNSETTLED)
        ]
        for ref in (self._source.documents.keys() | self._database.histories.keys()) - self._destination.broken:
            found += self._wrong_rows(ref)
            found += self._wrong_ends(ref)
        return sorted(found)

    def _wrong_ends(self, ref: TableRef) -> Iterator[str]:
        documents, last = self._source.documents.get(ref, {}), histories.present(self._database, ref)
        parked = {
            stored.letter.key
            for stored in self._database.letters.values()
            if stored.letter.ref == ref and stored.state is LetterState.OPEN
        }
        for key in (documents.keys() | last.keys()) - parked:
            if key not in last:
                yield f"{ref.table} {key.text}: missing"
            elif key not in documents:
                yield f"{ref.table} {key.text}: extra"
            elif self._source.differences(documents[key], key, last[key].fields, _FORM):
                yield f"{ref.table} {key.text}: different"

    def _wrong_rows(self, ref: TableRef) -> Iterator[str]:
        """Rows of changes that never were."""
        for key, entries in self._database.histories.get(ref, {}).items():
            changes = {
                (state.ts, state.position): state.operation.value
                for state in self._history.states.get((ref, key), ())
                if state.operation is not None
            }
            for place, entry in entries.items():
                if place[1] not in (FIRST, LAST) and changes.get(place) != entry.event.value:
                    yield f"{ref.table} {key.text}: a row of no change"

    def _without_row(self, until: str) -> Iterator[tuple[Place, State]]:
        """Changes up to a position that should have a row, and have none."""
        begun = max((schema.start_ts for schema in self._database.schemas.values()), default=0)
        for (ref, key), states in self._history.states.items():
            entries = self._database.histories.get(ref, {}).get(key, {})
            for state in states:
                is_due = state.operation is not None and begun < state.ts and state.position <= until
                is_lost = any(start < state.position <= end for start, end in self._lost)
                if is_due and not is_lost and (state.ts, state.position) not in entries:
                    yield (ref, key), state

    def _has_letter(self, place: Place, state: State, states: frozenset[LetterState]) -> bool:
        return any(
            (stored.letter.ref, stored.letter.key, stored.letter.position) == (*place, state.position)
            and stored.state in states
            for stored in self._database.letters.values()
        )


def _text(place: Place, state: State) -> str:
    return f"{state.operation} of {place[0].table} {place[1].text} at {state.position}"
