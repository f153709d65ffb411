"""The supervisor: it starts children again, gives up where that is of no use, and none of them outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.wait import eventually
from warp import supervisor as module
from warp.errors import ConfigurationError, ExitCode
from warp.process import Stop
from warp.retry import LONGEST_SECONDS
from warp.supervisor import REFUSALS, STEADY_SECONDS, Program, Supervisor, supervised

_WAITING = "import signal; print('up', flush=True); signal.pause()"
_OBEDIENT = (
    "import signal, sys; signal.signal(15, lambda *_: sys.exit(print('bye'))); print('up', flush=True); signal.pause()"
)
_STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"

_A_SUPERVISOR = """
import sys
from pathlib import Path
from warp.process import Stop
from warp.monitoring.logging import configure_logging
from warp.supervisor import Program, Supervisor
code, *logs = sys.argv[1:]
configure_logging("ERROR", "json", process="test")
stop = Stop().install()
supervisor = Supervisor([Program(name=log, command=[sys.executable, "-c", code], log=Path(log)) for log in logs])
supervisor.tick()
print(*supervisor.pids().values(), flush=True)
supervisor.run(stop)
"""


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def program(code: str, log: Path) -> Program:
    """A child that runs a line of Python."""
    return Program(name="child", command=[sys.executable, "-c", code], log=log)


def gone(pid: int | None) -> bool:
    """Whether no process has that id, zombies aside."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def says(log: Path, word: str, times: int = 1) -> Callable[[], bool]:
    """Whether a child has written a word so many times."""
    return lambda: log.exists() and log.read_text().count(word) >= times


def live_once(supervisor: Supervisor, clock: _Clock, *, after: float = LONGEST_SECONDS) -> None:
    """Start the child so many seconds later, and tick until its end has been seen."""
    clock.now += after
    supervisor.tick()
    assert supervisor.pids()["child"] is not None
    # Not yet due again when its end is seen.
    clock.now += 0.001

    def seen() -> bool:
        supervisor.tick()
        return supervisor.pids()["child"] is None

    eventually(seen)


def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = Supervisor([program(_WAITING, log)])
    with supervised(supervisor) as check:
        eventually(says(log, "up"))
        first = supervisor.pids()["child"]
        assert first is not None
        os.kill(first, signal.SIGKILL)
        eventually(says(log, "up", times=2))
        check()
        second = supervisor.pids()["child"]
        assert second not in (first, None)
    assert gone(second)


def test_a_child_that_ends_well_without_being_told_to_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with supervised(Supervisor([program("print('up')", log)])):
        eventually(says(log, "up", times=3))


def test_stopping_gives_children_time_for_an_orderly_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with supervised(Supervisor([program(_OBEDIENT, log)])):
        eventually(says(log, "up"))
    assert log.read_text() == "up\nbye\n"


def test_a_child_that_does_not_obey_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.05)
    log = tmp_path / "log"
    supervisor = Supervisor([program(_STUBBORN, log)])
    with supervised(supervisor):
        eventually(says(log, "up"))
        pid = supervisor.pids()["child"]
    assert gone(pid)


def test_a_child_that_refuses_its_configuration_again_and_again_ends_everything(tmp_path: Path) -> None:
    clock = _Clock()
    supervisor = Supervisor([program("raise SystemExit(2)", tmp_path / "log")], clock=clock)
    for _ in range(REFUSALS - 1):
        live_once(supervisor, clock)
    with pytest.raises(ConfigurationError, match="child ended 5 times with exit code 2") as caught:
        live_once(supervisor, clock)
    assert caught.value.exit_code == ExitCode.USAGE
    assert str(tmp_path / "log") in (caught.value.remedy or "")


def test_refusals_long_ago_do_not_count(tmp_path: Path) -> None:
    clock = _Clock()
    supervisor = Supervisor([program("raise SystemExit(2)", tmp_path / "log")], clock=clock)
    for _ in range(2 * REFUSALS):
        live_once(supervisor, clock, after=STEADY_SECONDS)


@pytest.mark.parametrize("code", [ExitCode.FAILED, ExitCode.UNREACHABLE])
def test_other_failures_go_on_being_tried(tmp_path: Path, code: ExitCode) -> None:
    clock = _Clock()
    supervisor = Supervisor([program(f"raise SystemExit({code})", tmp_path / "log")], clock=clock)
    for _ in range(2 * REFUSALS):
        live_once(supervisor, clock)


def test_a_child_that_has_ended_waits_before_it_is_started_again(tmp_path: Path) -> None:
    clock = _Clock()
    supervisor = Supervisor([program("raise SystemExit(1)", tmp_path / "log")], clock=clock)
    for _ in range(8):
        live_once(supervisor, clock)
    clock.now += 2.0
    supervisor.tick()
    assert supervisor.pids() == {"child": None}
    clock.now += 3.0
    supervisor.tick()
    assert supervisor.pids()["child"] is not None
    supervisor.stop()


def test_what_ends_the_supervisor_is_raised_where_it_is_asked_for(tmp_path: Path) -> None:
    nowhere = Program(name="child", command=[sys.executable], log=tmp_path / "missing" / "log")
    with supervised(Supervisor([nowhere])) as check, pytest.raises(FileNotFoundError):
        eventually(check)


def test_children_have_the_environment_that_their_program_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import os; print(os.environ['COLOUR'], 'PATH' in os.environ)"]
    coloured = Program(name="child", command=command, environment={"COLOUR": "teal"}, log=log)
    with supervised(Supervisor([coloured])):
        eventually(says(log, "teal True"))


def test_a_stop_that_is_set_already_leaves_no_child(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()
    supervisor = Supervisor([program(_WAITING, tmp_path / "log")])
    supervisor.tick()
    pid = supervisor.pids()["child"]
    supervisor.run(stop)
    assert gone(pid)


@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_children_end_with_their_supervisor(tmp_path: Path, how: signal.Signals, status: int) -> None:
    logs = [tmp_path / "a", tmp_path / "b"]
    command = [sys.executable, "-c", _A_SUPERVISOR, _WAITING, *map(str, logs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        try:
            assert parent.stdout is not None
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            assert len(pids) == len(logs)
            eventually(lambda: all(says(log, "up")() for log in logs))
            parent.send_signal(how)
            assert parent.wait(30) == status
        finally:
            parent.kill()
    eventually(lambda: all(gone(pid) for pid in pids))
