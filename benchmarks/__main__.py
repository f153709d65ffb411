"""`python -m benchmarks`: runs the parts that are asked for, and prints what they measured."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import click

from benchmarks.latency import latency
from benchmarks.measures import Results, Size
from benchmarks.memory import memory
from benchmarks.report import as_json, show
from benchmarks.throughput import first_load, insert_streaming, update_streaming
from warp.errors import WarpError

_PARTS: dict[str, Callable[[Size, Results], None]] = {
    "first-load": first_load,
    "inserts": insert_streaming,
    "updates": update_streaming,
    "latency": latency,
    "memory": memory,
}
_DEFAULT_PARTS = "first-load,inserts,updates,latency"
_BACKLOG = 1_000_000
_COUNT = click.IntRange(min=1)


def _parts(_ctx: click.Context, _param: click.Parameter, names: str) -> list[str]:
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in _PARTS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(_PARTS)}")
    return chosen


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--documents", type=_COUNT, default=200_000, metavar="N", help="Documents of the first load.")
@click.option("--changes", type=_COUNT, default=200_000, metavar="N", help="Changes of each streaming measurement.")
@click.option("--workers", type=_COUNT, default=1, metavar="N", help="Worker processes.")
@click.option("--partitions", type=_COUNT, default=1, metavar="N", help="Partitions of the table.")
@click.option(
    "--only",
    "parts",
    default=_DEFAULT_PARTS,
    callback=_parts,
    metavar="PARTS",
    help=f"Parts to measure, separated by commas: {', '.join(_PARTS)}.",
)
@click.option(
    "--backlog",
    type=_COUNT,
    metavar="N",
    help=f"Measure memory too, with so many changes.  [{_BACKLOG} if it is a part]",
)
@click.option("--json", "as_text", is_flag=True, help="Print JSON.")
def main(
    documents: int, changes: int, workers: int, partitions: int, parts: list[str], backlog: int | None, as_text: bool
) -> None:
    """Measure first load, streaming, latency and memory, on embedded servers that live for one part each."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if backlog is not None and "memory" not in parts:
        parts = [*parts, "memory"]
    size = Size(
        documents=documents, changes=changes, backlog=backlog or _BACKLOG, workers=workers, partitions=partitions
    )
    results = Results()
    for part in parts:
        click.echo(f"measuring {part} …", err=True)
        try:
            _PARTS[part](size, results)
        except WarpError as error:
            raise click.ClickException(f"{part}: {error}") from error
    if as_text:
        click.echo(json.dumps(as_json(size, results), indent=2))
    else:
        show(size, results)


if __name__ == "__main__":
    main()
