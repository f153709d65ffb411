"""The stop of a process: heard by whoever waits, and never in the way of the handler that sets it."""

from __future__ import annotations

import signal
import threading

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
