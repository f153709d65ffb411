"""`run --dry-run`: what would happen, in words or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from warp.cli.planning import REASONS, require_nothing_in_the_way, size
from warp.config import Config, SchemaConfig, redact
from warp.connections import open_connections
from warp.destinations.survey import MetadataTables, open_survey
from warp.dry_run import Plan, Planner, TablePlan
from warp.monitoring.metrics import OTHER_FIELDS
from warp.monitoring.terminal import visible
from warp.plan.standing import Action
from warp.sources.version import source_server
from warp.transport.client import translated

_METADATA = {
    MetadataTables.CREATE: "would be created",
    MetadataTables.UPDATE: "would be updated",
    MetadataTables.KEEP: "are up to date",
}


def dry_run(config: Config, schemas: Sequence[SchemaConfig], *, as_json: bool) -> None:
    """Print what `run` would do. Raises WarpError where something would keep it from its work."""
    plan = _plan(config, schemas)
    if as_json:
        click.echo(json.dumps({"blocked": bool(plan.problems), **asdict(plan)}))
    else:
        click.echo("\n".join(_lines(config, plan)))
    require_nothing_in_the_way(plan.problems)


def _plan(config: Config, schemas: Sequence[SchemaConfig]) -> Plan:
    source_url = config.source.connection_string.get_secret_value()
    connections = open_connections(config)
    survey = open_survey(config.destination.type, config.destination.connection_string.get_secret_value())
    try:
        connections.source.now()
        with translated(connections.redis_address):
            redis_version = connections.redis.info("server")["redis_version"]
        servers = {
            "source": source_server(config.source.type, source_url),
            "destination": survey.server(),
            "redis": f"Redis {redis_version}",
        }
        return Planner(config, connections.source, connections.destination.metadata, survey).plan(schemas, servers)
    finally:
        survey.close()
        connections.close()


def _lines(config: Config, plan: Plan) -> Iterator[str]:
    addresses = {
        "source": config.source.connection_string,
        "destination": config.destination.connection_string,
        "redis": config.redis.connection_string,
    }
    yield "This is what `cartridge-warp run` would do. Nothing has been written."
    yield ""
    for role, server in plan.servers.items():
        yield f"{role:<12} {server} at {redact(addresses[role].get_secret_value())}"
    yield f"{'metadata':<12} the tables in the PostgreSQL schema cartridge_warp {_METADATA[plan.metadata_tables]}"
    for schema in plan.schemas:
        copied = [table for table in schema.tables if table.action is Action.COPY]
        documents, size_bytes = sum(table.documents for table in copied), sum(table.size_bytes for table in copied)
        yield ""
        if schema.tables:
            copy = f"copy {documents:,} documents ({size(size_bytes)})"
            yield f"schema {visible(schema.name)}: {copy}, then follow the change stream"
        else:
            yield f"schema {visible(schema.name)}: nothing to copy, the source has no such database or it is empty"
        for table in schema.tables:
            yield from _table(table)


def _table(table: TablePlan) -> Iterator[str]:
    if table.action is Action.EXCLUDE:
        yield ""
        stands = f", {visible(table.target)} is left as it stands" if table.ours else ""
        yield f"  {visible(table.name)}: excluded by the configuration{stands}"
        return
    verb = "widen" if any(column.new for column in table.columns) else "keep"
    how = "BLOCKED, see the end" if table.blocked else verb if table.ours else "create"
    what = f"copy {table.documents:,} documents ({size(table.size_bytes)})"
    what = what if table.action is Action.COPY else "follow its changes"
    yield ""
    yield f"  {visible(table.name)} -> {visible(table.target)}: {how}, {what}"
    if not table.sampled:
        yield "    empty: the table is created with its first document"
        return
    width = max(len(visible(column.name)) for column in table.columns)
    for column in table.columns:
        yield f"    {visible(column.name):<{width}}  {column.type}{'  (new)' if column.new and table.ours else ''}"
    if table.kept:
        yield f"    of {table.sampled:,} documents, kept exactly in _extra:"
    for kept in table.kept:
        field = OTHER_FIELDS if kept.field is None else visible(kept.field)
        yield f"      {field}: {kept.values:,} values, {REASONS.get(kept.reason, kept.reason)}"
