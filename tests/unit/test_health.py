"""The watch over health: one thread makes a report, and nobody waits for it who does not have to."""

from __future__ import annotations

import threading

import pytest

from warp.monitoring.health import FRESH_SECONDS, STALE_SECONDS, Check, Report, Watch


def report(*checks: Check) -> Report:
    return Report(checks=checks, schemas=())


def test_ready_is_that_nothing_is_missing() -> None:
    assert report().ready
    assert report(Check(name="redis")).to_json() == {"ready": True, "checks": [{"name": "redis", "ok": True}]}
    missing = report(Check(name="redis", reason="away"), Check(name="mongodb"))
    assert not missing.ready
    assert missing.to_json()["checks"][0] == {"name": "redis", "ok": False, "reason": "away"}


def test_a_fresh_report_is_given_again_and_an_older_one_is_not() -> None:
    now, made = [0.0], [report(), report(), report()]
    watch = Watch(iter(made).__next__, clock=lambda: now[0])

    assert watch.report() is made[0]
    now[0] = FRESH_SECONDS
    assert watch.report() is made[0]
    now[0] += FRESH_SECONDS + 0.1
    assert watch.report() is made[1]


def test_whoever_comes_while_one_is_made_gets_the_last_one_until_that_is_stale() -> None:
    now, made, held, asked = [0.0], report(), threading.Event(), threading.Event()
    first = [made]

    def make() -> Report:
        if first:
            return first.pop()
        asked.set()
        assert held.wait(30)
        return report()

    watch = Watch(make, clock=lambda: now[0])
    assert watch.report() is made
    now[0] = FRESH_SECONDS + 0.1
    other = threading.Thread(target=watch.report)
    other.start()
    assert asked.wait(30)

    assert watch.report() is made
    now[0] = STALE_SECONDS + 0.1
    assert watch.report() is None

    held.set()
    other.join(30)
    assert watch.report() is not made


def test_a_report_that_fails_does_not_block_the_next() -> None:
    def make() -> Report:
        raise RuntimeError("a defect")

    watch = Watch(make)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a defect"):
            watch.report()
