"""How a run must end: rows equal documents, dead letters show as failed jobs, and nothing is left to do."""

from __future__ import annotations

from collections.abc import Collection

from tests.simulation.history import History
from warp.change import Key, TableRef
from warp.destinations.base import OnDrop
from warp.metadata.base import LetterState
from warp.testing import MemoryBroker, MemoryDatabase, MemorySource, Row


class Ending:
    """Compares both sides whole."""

    def __init__(self, source: MemorySource, database: MemoryDatabase, broker: MemoryBroker, history: History) -> None:
        self._source = source
        self._database = database
        self._broker = broker
        self._history = history

    def open_letters(self) -> list[int]:
        """The numbers of the dead letters that are open."""
        return [stored.number for stored in self._database.letters.values() if stored.state is LetterState.OPEN]

    def is_at_rest(self, schema: str) -> bool:
        """Whether nobody has anything left to do."""
        state = self._database.schemas.get(schema)
        return (
            state is not None
            and state.checkpoint.position >= self._history.position
            and not any(known.snapshot.open or known.block for known in self._database.known.values())
            and not self._broker.state.logs
        )

    def differences(self, on_drop: OnDrop, without: Collection[TableRef] = ()) -> list[str]:
        """In what rows and documents differ, tables aside of which nothing is expected.

        Of a document whose row is missing or old there may be an open dead letter instead.
        """
        found = []
        for ref in (self._source.documents.keys() | self._database.rows.keys()) - set(without):
            documents = self._source.documents.get(ref, {})
            kept_before = self._history.last_drop(ref) if on_drop is OnDrop.KEEP else 0
            rows = {
                key: row
                for key, row in self._database.rows.get(ref, {}).items()
                if not row.is_deleted and not (row.ts < kept_before and self._is_true(ref, key, row))
            }
            parked = {
                stored.letter.key
                for stored in self._database.letters.values()
                if stored.letter.ref == ref and stored.state is LetterState.OPEN
            }
            for key in (documents.keys() | rows.keys()) - parked:
                if key not in rows:
                    found.append(f"{ref.table} {key.text}: missing")
                elif key not in documents:
                    found.append(f"{ref.table} {key.text}: extra")
                elif names := self._source.differences(documents[key], key, rows[key].fields):
                    found.append(f"{ref.table} {key.text}: different in {names}")
        return sorted(found)

    def jobs_amiss(self) -> list[str]:
        """In what failed jobs and open dead letters differ."""
        failed = {number for number, job in self._broker.state.letters.items() if job.state == "failed"}
        opened = set(self.open_letters())
        return [f"dead letter {number} shows wrongly" for number in sorted(failed ^ opened)]

    def _is_true(self, ref: TableRef, key: Key, row: Row) -> bool:
        """Whether a row shows what its document once was."""
        states = self._history.states.get((ref, key), ())
        return any(state.stamp == row.fields["v"] and state.ts <= row.ts for state in states)
