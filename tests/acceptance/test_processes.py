"""How processes start and end: a server that is away is named in one line, and SIGTERM ends everything in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeMirror, MakeWriter
from tests.support.endpoints import Endpoints, write_config
from tests.support.fleet import Fleet
from tests.support.refused import refusing_port
from warp.errors import ExitCode

PASSWORD = "c0rrect-h0rse"
PROMPTLY = 10.0


@pytest.fixture
def nobody() -> Iterator[str]:
    """Host and port at which nobody listens."""
    with refusing_port() as port:
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("server", "away"),
    [
        ("MongoDB", {"mongo_uri": f"mongodb://me:{PASSWORD}@NOBODY/?authSource=admin"}),
        ("Redis", {"redis_url": f"redis://:{PASSWORD}@NOBODY/0"}),
        ("PostgreSQL", {"pg_dsn": f"postgresql://me:{PASSWORD}@NOBODY/warehouse"}),
    ],
)
def test_a_server_that_is_away_at_start_is_named_in_one_line(
    server: str, away: dict[str, str], nobody: str, endpoints: Endpoints, schema: str, fleet: Fleet, tmp_path: Path
) -> None:
    absent = {name: address.replace("NOBODY", nobody) for name, address in away.items()}
    config = write_config(tmp_path / "config.yaml", replace(endpoints, **absent), [schema])
    processes = [fleet.tailer(config, schema), fleet.worker(config), fleet.scheduler(config)]
    for process in processes:
        assert process.wait(60) == ExitCode.UNREACHABLE, process.output()
        [line] = process.output().splitlines()
        assert line.startswith(f"error: {server} at ")
        assert nobody in line
        assert "refused" in line
        assert PASSWORD not in line


def test_sigterm_ends_every_process_in_order(
    endpoints: Endpoints, schema: str, make_mirror: MakeMirror, make_writer: MakeWriter
) -> None:
    mirror, writer = make_mirror(endpoints, schema), make_writer(endpoints, schema, seed=10)
    writer.preload(100)
    writer.start()
    mirror.start().wait_caught_up()
    for process in mirror.processes:
        assert process.terminate(PROMPTLY) == ExitCode.DONE, process.output()
        assert "Traceback" not in process.output()
    for process in mirror.processes:
        process.restart()
    mirror.wait_applied(300)
    mirror.end_identical(writer)
