"""The stop of a process: heard by whoever waits, and never in the way of the handler that sets it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from warp.process import Stop


def test_a_signal_ends_a_wait() -> None:
    stop = Stop()
    before = signal.signal(signal.SIGALRM, lambda *_: stop.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert stop.wait(30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_another_thread_ends_a_wait() -> None:
    stop = Stop()
    thread = threading.Thread(target=stop.set)
    thread.start()
    assert stop.wait(30)
    thread.join()


def test_a_handler_may_set_it_wherever_the_main_thread_is() -> None:
    """With a lock inside, one of these many signals would come while `wait` holds it, and never return."""
    stop = Stop()
    signals = 0

    def handler(*_: object) -> None:
        nonlocal signals
        signals += 1
        if signals >= 2000:
            stop.set()
        else:
            stop.is_set()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        while not stop.wait(0):
            pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stop.wait(0)


def test_without_a_stop_a_wait_ends_by_itself() -> None:
    assert not Stop().wait(0.001)


_STUCK = """
import signal, sys
from warp.monitoring.logging import configure_logging
from warp.process import Stop
configure_logging("INFO", "json", process="test")
stop = Stop()
stop.install(within=float(sys.argv[2]), status=int(sys.argv[1]))
print("up", flush=True)
"""
_IN_PYTHON = "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()"
_IN_A_LIBRARY = """
import ctypes
lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
lock(mutex), lock(mutex)
"""


@pytest.mark.parametrize("stuck", [_IN_PYTHON, _IN_A_LIBRARY])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 1)])
def test_a_process_that_does_not_get_on_is_ended_in_time(stuck: str, number: signal.Signals, status: int) -> None:
    """Also where Python's handlers cannot run, because the main thread is within a library that does not return."""
    ended, said = _signalled(_STUCK + stuck, number, status)
    assert ended == status
    assert "the step under way is given up" in said


def test_other_signals_do_not_end_it() -> None:
    other = "signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 0.001)\n"
    ended, said = _signalled(_STUCK + other + "stop.wait(0.3); sys.exit(5)", None, 0)
    assert ended == 5
    assert not said


def test_a_process_that_ends_by_itself_is_left_alone() -> None:
    ended, said = _signalled(_STUCK + "stop.wait(60); sys.exit(5)", signal.SIGTERM, 0, within=30.0)
    assert ended == 5
    assert not said


def _signalled(code: str, number: signal.Signals | None, status: int, *, within: float = 0.1) -> tuple[int, str]:
    """The exit code of a process that gets a signal once it is up, and what it wrote on stderr."""
    command = [sys.executable, "-c", code, str(status), str(within)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            if number is not None:
                process.send_signal(number)
            _, said = process.communicate(timeout=30)
            return process.returncode, said
        finally:
            process.kill()
