"""`python -m tests.chaos`: tries to make PostgreSQL differ from MongoDB, and says whether it could."""

from __future__ import annotations

import fnmatch
import signal
import tempfile
from pathlib import Path

import click
from rich.console import Console

from tests.chaos.faults import FAULTS
from tests.chaos.faults.fault import Fault
from tests.chaos.report import show
from tests.chaos.run import Options, Run
from warp.monitoring.logging import configure_logging


def _chosen(_ctx: click.Context, _param: click.Parameter, names: str) -> list[Fault]:
    patterns = [name.strip() for name in names.split(",")]
    for pattern in patterns:
        if not fnmatch.filter(FAULTS, pattern):
            raise click.BadParameter(f"{pattern!r} is none of {', '.join(FAULTS)}")
    return [fault for name, fault in FAULTS.items() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", type=click.FloatRange(min=0), default=600.0, metavar="N", help="Seconds of faults.")
@click.option("--seed", type=int, default=1, metavar="N", help="What faults and changes follow from.")
@click.option(
    "--faults", default="*", callback=_chosen, metavar="KINDS", help="Kinds, separated by commas; redis-* is a family."
)
@click.option(
    "--changes-per-second", type=click.FloatRange(min=1), default=600.0, metavar="N", help="The pace of the writer."
)
@click.option("--list", "list_kinds", is_flag=True, help="Name the kinds of faults, and end.")
def main(seconds: float, seed: int, faults: list[Fault], changes_per_second: float, list_kinds: bool) -> None:
    """Run the fleet between embedded servers beside a random workload, with a fault every few seconds.

    At the end both sides must be equal. The same seed and kinds give the same faults.
    """
    if list_kinds:
        for fault in faults:
            click.echo(" ".join([fault.name, *fault.parameters]))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    configure_logging("WARNING", "console", process="chaos")
    directory = Path(tempfile.mkdtemp(prefix="cartridge-warp-chaos-"))
    click.echo(f"logs of the processes: {directory}")
    options = Options(seed=seed, faults=faults, seconds=seconds, changes_per_second=changes_per_second)
    outcome = Run(options, directory, click.echo)()
    names = ",".join(fault.name for fault in faults)
    arguments = f"--seconds {seconds:g} --seed {seed} --changes-per-second {changes_per_second:g} --faults {names}"
    show(Console(), outcome, f'make chaos ARGS="{arguments}"')
    if outcome.failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
