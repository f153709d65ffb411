"""The end of a run: the writer stops, all is healed, nobody helps; then both sides are compared."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator

from tests.chaos.rig import Rig
from tests.support.compare import verify

CATCH_UP_SECONDS = 60.0
_MOST_SHOWN = 5
_TRACEBACK = re.compile(
    # Its last line is the first that is not indented. What led to another exception does not count beside that.
    r"^Traceback \(most recent call last\):$(?:\n\s.*$)*\n(\S.*)$(?!\n+(?:During handling of|The above exception was))",
    re.MULTILINE,
)
_EXPECTED = ("redis.exceptions.", "rq.exceptions.InvalidJobOperation", "ValueError: Execution ")
"""RQ writes down whatever Redis does to it, and that a job, or its execution, is gone with Redis's data."""


def catch_up(rig: Rig) -> float:
    """Wait until all that is written is applied; the seconds it took. AssertionError after CATCH_UP_SECONDS."""
    started = time.monotonic()
    rig.mirror.wait_caught_up(CATCH_UP_SECONDS)
    return time.monotonic() - started


def differences(rig: Rig) -> tuple[int, list[str]]:
    """Documents that were compared, and what `verify` and the dead letters have to say against the mirror."""
    code, report = verify(rig.mirror.config)
    found = [
        f"{table['schema']}.{table['table']}: {table['missing']} missing, {table['extra']} extra, "
        f"{table['different']} different, such as {table['examples'][:_MOST_SHOWN]}"
        for table in report["tables"]
        if table["missing"] or table["extra"] or table["different"]
    ]
    if not found and (code != 0 or not report["identical"]):
        found.append(f"verify ended with {code}")
    letters = rig.mirror.query(
        "SELECT schema_name, table_name, operation, error, count(*) FROM cartridge_warp.dead_letters "
        "WHERE state = 'open' GROUP BY 1, 2, 3, 4"
    )
    found += [f"dead letters: {letter}" for letter in letters]
    return sum(table["source_documents"] for table in report["tables"]), found


def unexpected(log: str) -> list[str]:
    """The last lines of tracebacks that are not those of what was done to Redis."""
    return [raised for raised in _TRACEBACK.findall(log) if not raised.startswith(_EXPECTED)]


def end(rig: Rig) -> Iterator[str]:
    """Tell every process to end, and say which do not end in order, and which have written a traceback."""
    for process in rig.processes:
        process.ask_to_end()
    for process in rig.processes:
        try:
            code = process.wait()
        except subprocess.TimeoutExpired:
            yield f"{process.name} does not end on SIGTERM"
            continue
        if code != 0:
            yield f"{process.name} ended with {code} on SIGTERM"
    for process in rig.mirror.fleet.processes:
        if raised := unexpected(process.output()):
            yield f"{process.name} wrote tracebacks that nobody expects: {raised[:_MOST_SHOWN]}, in {process.log}"
