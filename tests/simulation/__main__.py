"""`python -m tests.simulation`: many runs by hand, or one of them call by call."""

from __future__ import annotations

import re
import sys
import time

import click

from tests.simulation.campaign import campaign
from tests.simulation.conditions import simulated
from tests.simulation.weather import KINDS, described, forecast
from tests.simulation.world import World

_PROGRESS_SECONDS = 30.0


def _range(_ctx: click.Context, _param: click.Parameter, text: str) -> range:
    """`20` are the seeds below 20, `5-20` those from 5 on."""
    if not (match := re.fullmatch(r"(?:(\d+)-)?(\d+)", text)):
        raise click.BadParameter(f"{text!r} is not like 1000 or 500-1000")
    return range(int(match[1] or 0), int(match[2]))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seeds", default="0-1000", callback=_range, metavar="FROM-TO", help="Run these, TO excluded.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice([*KINDS, "all"]), default=["any"], help="What befalls whom."
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, metavar="N", help="Processes.")
@click.option("--seed", type=int, metavar="N", help="Run only this one.")
@click.option("--trace", is_flag=True, help="Print the one run call by call.")
def main(seeds: range, kinds: tuple[str, ...], jobs: int, seed: int | None, trace: bool) -> None:
    """Run seeded simulations of the whole protocol; exits with 1 where one goes wrong."""
    if "all" in kinds:
        kinds = KINDS
    if trace and (seed is None or len(kinds) != 1):
        raise click.UsageError("--trace is for one --seed of one --kind")
    sys.exit(_run_one(kinds, seed, trace) if seed is not None else _run_all(kinds, seeds, jobs))


def _run_one(kinds: tuple[str, ...], seed: int, trace: bool) -> bool:
    failed = False
    for kind in kinds:
        weather = forecast(seed, kind)
        with simulated():
            world = World(seed, weather, click.echo if trace else None)
            wrongs = world.run()
        click.echo(f"{kind} {seed}: {described(weather)}")
        click.echo(f"{world.trace.calls} calls, checksum {world.trace.checksum:08x}")
        click.echo("\n".join(wrongs) or "right")
        failed |= bool(wrongs)
    return failed


def _run_all(kinds: tuple[str, ...], seeds: range, jobs: int) -> bool:
    started = told = time.monotonic()
    done = failed = 0
    for runs, failures in campaign(kinds, seeds, jobs):
        done += runs
        failed += len(failures)
        for failure in failures:
            click.echo(failure)
        if time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            click.echo(f"{done} of {len(seeds) * len(kinds)} runs, {failed} failed", err=True)
    click.echo(f"{done} runs in {time.monotonic() - started:.0f} s, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    main()
