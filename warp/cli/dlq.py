"""`cartridge-warp dlq`: dead letters, the changes that could not be applied, listed, shown, replayed and discarded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from warp.change import TableRef
from warp.cli.exit_codes import epilog
from warp.cli.letters import as_table, filter_options, in_full, state_option, to_json
from warp.cli.options import config_option, configure, log_level_option
from warp.config import Config, TableSettings
from warp.connections import Connections, open_connections
from warp.errors import ExitCode, ServerUnreachable, WarpError
from warp.metadata.base import DeadLetter, LetterFilter, LetterState, Metadata, StoredLetter
from warp.monitoring.terminal import escaped
from warp.sources.base import Source
from workers.replay import Outcome, Replayer
from workers.report import Report

_NOT_NOW = "not now"

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
all_option = click.option("--all", "every", is_flag=True, help="All open ones that the options choose.")
numbers_argument = click.argument("numbers", metavar="[ID]...", type=click.IntRange(min=1), nargs=-1)


@click.group(
    epilog=epilog(
        "cartridge-warp dlq list --schema shop --newer-than 2h",
        "cartridge-warp dlq show 17",
        "cartridge-warp dlq replay --all --table orders",
        "cartridge-warp dlq discard 17 18",
        exit_codes=True,
    )
)
def dlq() -> None:
    """Look at dead letters, replay or discard them.

    A dead letter is a change that could not be applied; everything else went on. A replay cannot do harm: it never
    overwrites a newer row, and brings back nothing that was deleted since.
    """


@dlq.command("list", epilog=epilog("cartridge-warp dlq list", "cartridge-warp dlq list --error UniqueViolation --json"))
@config_option()
@filter_options()
@state_option()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many.")
@json_option
@log_level_option()
def list_letters(
    config_path: Path | None, state: str, limit: int, as_json: bool, log_level: str | None, **chosen: Any
) -> None:
    """List dead letters, the newest first."""
    only = None if state == "all" else LetterState(state)
    with _connected(config_path, log_level) as (_, connections):
        letters = connections.destination.metadata.letters(LetterFilter(state=only, **chosen), limit)
    if as_json:
        click.echo(json.dumps({"letters": [to_json(stored) for stored in letters]}))
    elif letters:
        Console().print(as_table(letters, with_state=only is not LetterState.OPEN))
        if len(letters) == limit:
            click.echo(f"the newest {limit}: see --limit", err=True)
    else:
        click.echo("no dead letters")


@dlq.command(epilog=epilog("cartridge-warp dlq show 17", "cartridge-warp dlq show 17 --no-payload --json"))
@config_option()
@click.argument("numbers", metavar="ID...", type=click.IntRange(min=1), nargs=-1, required=True)
@click.option("--payload/--no-payload", default=True, help="Whether to show the change with its document.")
@json_option
@log_level_option()
def show(config_path: Path | None, numbers: Sequence[int], payload: bool, as_json: bool, log_level: str | None) -> None:
    """Show all that is known of dead letters.

    The change itself is shown as canonical Extended JSON, with its document: this is the only command that does.
    """
    with _connected(config_path, log_level) as (config, connections):
        letters = [_existing(connections.destination.metadata, number) for number in numbers]
        payloads = [_described(config, connections.source, stored.letter) if payload else None for stored in letters]
    if as_json:
        shown = [
            to_json(stored) | ({} if said is None else {"payload": json.loads(said or "null")})
            for stored, said in zip(letters, payloads, strict=True)
        ]
        click.echo(json.dumps({"letters": shown}))
        return
    for stored, said in zip(letters, payloads, strict=True):
        Console().print(in_full(stored, said), soft_wrap=True)


@dlq.command(epilog=epilog("cartridge-warp dlq replay 17 18", "cartridge-warp dlq replay --all --schema shop"))
@config_option()
@numbers_argument
@filter_options()
@all_option
@json_option
@log_level_option()
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    config_path: Path | None,
    numbers: Sequence[int],
    every: bool,
    as_json: bool,
    log_level: str | None,
    **chosen: Any,
) -> None:
    """Apply dead letters once more, the oldest first.

    Says of each: applied; superseded, where its document has a newer state or is gone; or failed again, or not
    replayed, where its table is excluded: both end with exit code 1. Workers may be at work meanwhile.
    """
    done: list[dict[str, Any]] = []
    with _connected(config_path, log_level) as (config, connections):
        meant = _meant(connections.destination.metadata, numbers, every, chosen)

        def settings(ref: TableRef) -> TableSettings:
            return config.table(*ref)

        def mirrors(ref: TableRef) -> bool:
            return config.mirrors(*ref)

        source, destination = connections.source, connections.destination
        replayer = Replayer(source, destination, settings=settings, mirrors=mirrors, report=Report(), wait=time.sleep)
        for stored in meant:
            done.append(_replayed(replayer, stored))
            if not as_json:
                click.echo(_in_a_line(done[-1]))
    if as_json:
        click.echo(json.dumps({"replayed": done}))
    elif not done:
        click.echo("no dead letters")
    if any(each["error"] for each in done):
        ctx.exit(ExitCode.FAILED)


def _replayed(replayer: Replayer, stored: StoredLetter) -> dict[str, Any]:
    about: dict[str, Any] = {"id": stored.number, "schema": stored.letter.ref.schema, "table": stored.letter.ref.table}
    try:
        replayed = replayer.replay(stored.number)
    except ServerUnreachable:
        raise
    except WarpError as error:
        return about | {"outcome": _NOT_NOW, "error": str(error), "remedy": error.remedy}
    again = replayed.error
    return about | {
        "outcome": replayed.outcome.value,
        "error": str(again) if again else None,
        "remedy": again.remedy if again else None,
    }


def _in_a_line(done: dict[str, Any]) -> str:
    line = f"{done['id']}: {done['outcome']}"
    if done["error"]:
        line += f": {escaped(done['error'])}"
    return f"{line}\n  remedy: {escaped(done['remedy'])}" if done["remedy"] else line


@dlq.command(epilog=epilog("cartridge-warp dlq discard 17", "cartridge-warp dlq discard --all --older-than 4w --yes"))
@config_option()
@numbers_argument
@filter_options()
@all_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@log_level_option()
def discard(
    config_path: Path | None,
    numbers: Sequence[int],
    every: bool,
    yes: bool,
    as_json: bool,
    log_level: str | None,
    **chosen: Any,
) -> None:
    """Give dead letters up: they stay in the metadata, and are not replayed any more.

    What the documents of discarded letters lack in PostgreSQL, `verify` shows.
    """
    with _connected(config_path, log_level) as (_, connections):
        metadata = connections.destination.metadata
        meant = [stored.number for stored in _meant(metadata, numbers, every, chosen)]
        if meant and not yes:
            click.confirm(f"discard {len(meant)} dead letters?", abort=True, err=True)
        discarded = [number for number in meant if metadata.discard_letter(number)]
    if as_json:
        click.echo(json.dumps({"discarded": discarded, "not_open": sorted(set(meant) - set(discarded))}))
        return
    for number in meant:
        click.echo(f"{number}: {'discarded' if number in discarded else Outcome.SETTLED}")
    if not meant:
        click.echo("no dead letters")


@contextmanager
def _connected(config_path: Path | None, log_level: str | None) -> Iterator[tuple[Config, Connections]]:
    config = configure(config_path, log_level or "WARNING", process="dlq")
    connections = open_connections(config)
    try:
        connections.destination.require_migrated()
        yield config, connections
    finally:
        connections.close()


def _described(config: Config, source: Source, letter: DeadLetter) -> str:
    """The change; empty where there is none, or where it was parked before its table was given filters."""
    names = [schema.name for schema in config.schemas]
    filtered = letter.ref.schema in names and config.table(*letter.ref).filter is not None
    return source.describe(letter.payload) if letter.payload and not filtered else ""


def _existing(metadata: Metadata, number: int) -> StoredLetter:
    stored = metadata.letter(number)
    if stored is None:
        raise _unknown(number)
    return stored


def _unknown(number: int) -> WarpError:
    return WarpError(f"there is no dead letter {number}", remedy="see: cartridge-warp dlq list --state all")


def _meant(metadata: Metadata, numbers: Sequence[int], every: bool, chosen: dict[str, Any]) -> list[StoredLetter]:
    """The letters that ids, or `--all` and the options, name; the oldest first, so that each finds what came before."""
    filtered = any(value is not None for value in chosen.values())
    if bool(numbers) == every or (numbers and filtered):
        raise click.UsageError("name dead letters by their ids, or choose with --all and the other options")
    if every:
        return metadata.letters(LetterFilter(state=LetterState.OPEN, **chosen), None)[::-1]
    found = metadata.letters(LetterFilter(numbers=numbers), None)[::-1]
    for number in sorted(set(numbers) - {stored.number for stored in found}):
        raise _unknown(number)
    return found
