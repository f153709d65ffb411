"""`python -m benchmarks`: runs the parts that are asked for and prints what they measured."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
from rich.console import Console

from benchmarks.report import Rate, as_json, show
from benchmarks.rig import Size
from benchmarks.throughput import first_load, insert_streaming, update_streaming
from warp.errors import WarpError

_THROUGHPUT: dict[str, Callable[[Size], list[Rate]]] = {
    "first-load": first_load,
    "inserts": insert_streaming,
    "updates": update_streaming,
}


@click.command()
@click.option("--documents", default=200_000, show_default=True, help="Documents of the first load.")
@click.option("--changes", default=200_000, show_default=True, help="Changes of each streaming measurement.")
@click.option("--workers", default=1, show_default=True, help="Worker processes.")
@click.option("--partitions", default=1, show_default=True, help="Partitions of the table.")
@click.option("--only", default=",".join(_THROUGHPUT), show_default=True, help="Parts, separated by commas.")
@click.option("--json", "as_text", is_flag=True, help="Print JSON.")
def main(documents: int, changes: int, workers: int, partitions: int, only: str, as_text: bool) -> None:
    """Measure first load and streaming on embedded servers, next to the bare floor."""
    size = Size(documents=documents, changes=changes, backlog=0, workers=workers, partitions=partitions)
    rates: list[Rate] = []
    for part in only.split(","):
        click.echo(f"measuring {part} …", err=True)
        rates += _THROUGHPUT[part](size)
    if as_text:
        click.echo(json.dumps(as_json(rates), indent=2))
    else:
        show(Console(), rates)


if __name__ == "__main__":
    try:
        main()
    except WarpError as error:
        raise SystemExit(f"error: {error}") from error
