"""The configuration as frozen models: global settings, schemas and tables, and how a table's settings resolve.

What a single value may be stands in `fields`, what several of them say together in `rules`; reading files and the
environment is `load`'s.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from warp.config import rules
from warp.config.fields import (
    DESTINATION_TYPES,
    SOURCE_TYPES,
    BatchSize,
    Columns,
    Cron,
    DeletionStrategy,
    DestinationType,
    FlattenDepth,
    Hours,
    LogBytes,
    LogFormat,
    LogLevel,
    Partitions,
    Port,
    RedisUrl,
    SchemaName,
    SourceType,
    StallSeconds,
    TableName,
)
from warp.config.filters import FieldSettings, Salt, TableFilterSettings
from warp.destinations.base import OnDrop
from warp.errors import ConfigurationError
from warp.evolution.rules import DEFAULT, MAX_COLUMNS, Conflict, Layout, Rewrite, Rules
from warp.filters import FieldFilter, field_filter, passes
from warp.layouts import Form, form_of


@dataclass(frozen=True, slots=True)
class TableSettings:
    """What holds for one table after global, schema and table level are laid over one another."""

    batch_size: int
    """Changes in one apply step."""
    deletion_strategy: DeletionStrategy
    partitions: int
    on_drop: OnDrop = OnDrop.KEEP
    max_columns: int = MAX_COLUMNS
    """Fields beyond so many columns stay in `_extra`."""
    rewrite: Rewrite = DEFAULT.rewrite
    conflict: Conflict = DEFAULT.conflict
    layout: Layout = DEFAULT.layout
    flatten_depth: int = DEFAULT.flatten_depth
    filter: FieldFilter | None = None
    """Leaves out fields and masks values; None: nothing of a document is hidden."""

    @property
    def fields(self) -> Form | None:
        """What is done to each document before it is written, filter and layout; None: it is written as it is."""
        return form_of(self.filter, self.layout, self.flatten_depth)

    @property
    def rules(self) -> Rules:
        """What says how the table may become."""
        return Rules(
            soft_delete=self.deletion_strategy == "soft" and self.layout is not Layout.HISTORY,
            max_columns=self.max_columns,
            rewrite=self.rewrite,
            conflict=self.conflict,
            layout=self.layout,
            flatten_depth=self.flatten_depth,
        )


class _Section(BaseModel):
    # A validation error must not carry its input: that may be a connection string.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SourceConfig(_Section):
    """Where changes come from."""

    type: SourceType = "mongodb"
    connection_string: SecretStr
    database: str | None = None

    @field_validator("connection_string")
    @classmethod
    def _check_connection_string(cls, dsn: SecretStr, info: ValidationInfo) -> SecretStr:
        return SOURCE_TYPES[info.data["type"]](dsn) if "type" in info.data else dsn


class DestinationConfig(_Section):
    """Where rows and metadata go."""

    type: DestinationType = "postgresql"
    connection_string: SecretStr

    @field_validator("connection_string")
    @classmethod
    def _check_connection_string(cls, dsn: SecretStr, info: ValidationInfo) -> SecretStr:
        return DESTINATION_TYPES[info.data["type"]](dsn) if "type" in info.data else dsn


class RedisConfig(_Section):
    """The Redis server that holds logs and queues."""

    connection_string: RedisUrl = SecretStr("redis://localhost:6379/0")


class MonitoringConfig(_Section):
    """What a process says about itself on stderr, and what counts as a failure."""

    log_level: LogLevel = "INFO"
    log_format: LogFormat = "auto"
    """`auto` is console where stderr is a terminal, and json elsewhere."""
    stall_seconds: StallSeconds = 60
    """How long a schema's checkpoint may stand still while its source goes on, before that is a failure."""
    min_oplog_headroom_hours: Hours = 1.0
    """A position that the source will have thrown away within this time is a failure; 0: it is none."""


class WebConfig(_Section):
    """Where `cartridge-warp web` listens. A port that nobody gives is `$PORT`, or else 8080."""

    host: str = "127.0.0.1"
    port: Port = 8080


class EvolutionConfig(_Section):
    """How columns may become; what is None comes from the level above."""

    rewrite: Rewrite | None = None
    """Whether a column may become a type for which PostgreSQL writes the whole table anew."""
    conflict: Conflict | None = None
    """What becomes of a value that does not fit its column."""


class TableConfig(_Section, FieldSettings):
    """One table's own settings; what is None comes from its schema."""

    name: TableName
    stream_batch_size: BatchSize | None = None
    deletion_strategy: DeletionStrategy | None = None
    on_drop: OnDrop | None = None
    partitions: Partitions | None = None
    max_columns: Columns | None = None
    layout: Layout | None = None
    flatten_depth: FlattenDepth | None = None
    evolution: EvolutionConfig = EvolutionConfig()
    exclude: bool = False
    """The table is not mirrored."""


_UNNAMED_TABLE = TableConfig(name="-")


class SchemaConfig(_Section, FieldSettings, TableFilterSettings):
    """One mirrored database; what is None comes from the global level. All its tables are mirrored, named or not, but
    for those that are excluded."""

    name: SchemaName
    mode: Literal["stream", "batch"] = "stream"
    schedule: Cron | None = None
    default_batch_size: BatchSize | None = None
    deletion_strategy: DeletionStrategy | None = None
    on_drop: OnDrop | None = None
    partitions: Partitions | None = None
    max_columns: Columns | None = None
    layout: Layout | None = None
    flatten_depth: FlattenDepth | None = None
    evolution: EvolutionConfig = EvolutionConfig()
    tables: tuple[TableConfig, ...] = ()


class Config(_Section, FieldSettings, TableFilterSettings):
    """The whole configuration, validated whole: a `ValidationError` holds everything that is wrong with it."""

    mode: Literal["single", "multi"] = "multi"
    single_schema_name: SchemaName | None = None
    source: SourceConfig
    destination: DestinationConfig
    redis: RedisConfig = RedisConfig()
    schemas: tuple[SchemaConfig, ...] = ()
    default_batch_size: BatchSize = 5000
    deletion_strategy: DeletionStrategy = "hard"
    on_drop: OnDrop = OnDrop.KEEP
    """What becomes of a table's rows when the source drops it."""
    partitions: Partitions = 1
    max_columns: Columns = MAX_COLUMNS
    """Columns for fields that a table gets at most; fields beyond them stay in `_extra`."""
    layout: Layout = DEFAULT.layout
    flatten_depth: FlattenDepth = DEFAULT.flatten_depth
    """Nested objects down to so many levels have columns of their own, in the layout `columns`."""
    evolution: EvolutionConfig = EvolutionConfig(rewrite=DEFAULT.rewrite, conflict=DEFAULT.conflict)
    log_high_water_mark: LogBytes = 256 * 2**20
    """Bytes that one schema's logs may hold in Redis before its tailer stops reading."""
    mask_salt: Salt | None = None
    """What `mask: hash` puts before each value."""
    monitoring: MonitoringConfig = MonitoringConfig()
    web: WebConfig = WebConfig()

    @model_validator(mode="wrap")
    @classmethod
    def _check_rules(cls, data: Any, handler: ModelWrapValidatorHandler["Config"]) -> "Config":
        """Rules look at the data as it came, so that a wrong value in one place does not hide them."""
        data = rules.with_implied_schema(data)
        problems = [
            InitErrorDetails(type=PydanticCustomError("rule", "{allowed}", {"allowed": allowed}), loc=loc, input=found)
            for loc, found, allowed in rules.violations(data)
        ]
        try:
            config = handler(data)
        except ValidationError as error:
            problems = [*_details(error), *problems]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True)
        return config

    def schema_named(self, name: str) -> SchemaConfig:
        """The schema of this name; ConfigurationError, naming the known ones, if there is none."""
        for schema in self.schemas:
            if schema.name == name:
                return schema
        known = ", ".join(schema.name for schema in self.schemas)
        raise ConfigurationError(f"schema {name!r} is not configured; known: {known}")

    def selected_schemas(self, only: str | None = None) -> tuple[SchemaConfig, ...]:
        """All schemas, or just `only`; ConfigurationError if that is not one of them."""
        return self.schemas if only is None else (self.schema_named(only),)

    def stream_schemas(self, only: str | None = None) -> tuple[SchemaConfig, ...]:
        """The selected schemas that are mirrored from a change stream; ConfigurationError if `only` is unknown."""
        return tuple(schema for schema in self.selected_schemas(only) if schema.mode == "stream")

    def table(self, schema: str, table: str) -> TableSettings:
        """What holds for a table, configured by name or not; ConfigurationError if the schema is unknown."""
        above = self.schema_named(schema)
        own = next((candidate for candidate in above.tables if candidate.name == table), _UNNAMED_TABLE)
        salt = self.mask_salt.get_secret_value() if self.mask_salt else ""
        layout = own.layout or above.layout or self.layout
        depth = _first(own.flatten_depth, above.flatten_depth, self.flatten_depth)
        return TableSettings(
            batch_size=own.stream_batch_size or above.default_batch_size or self.default_batch_size,
            deletion_strategy=own.deletion_strategy or above.deletion_strategy or self.deletion_strategy,
            partitions=own.partitions or above.partitions or self.partitions,
            on_drop=own.on_drop or above.on_drop or self.on_drop,
            max_columns=own.max_columns or above.max_columns or self.max_columns,
            rewrite=own.evolution.rewrite or above.evolution.rewrite or self.evolution.rewrite or DEFAULT.rewrite,
            conflict=own.evolution.conflict or above.evolution.conflict or self.evolution.conflict or DEFAULT.conflict,
            layout=layout,
            flatten_depth=depth if layout is Layout.COLUMNS else 0,
            filter=field_filter((own.field_patterns, above.field_patterns, self.field_patterns), salt),
        )

    def fields(self, schema: str, table: str) -> Form | None:
        """What is done to a table's documents before they are written; None: nothing. Raises as `table` does."""
        return self.table(schema, table).fields

    def mirrors(self, schema: str, table: str) -> bool:
        """Whether a table is mirrored, or excluded at some level; ConfigurationError if the schema is unknown."""
        mirrors = self.table_filter(schema)
        return mirrors is None or mirrors(table)

    def table_filter(self, schema: str) -> Callable[[str], bool] | None:
        """Whether a table of the schema is mirrored, by its name; None: every one is. Raises as `mirrors` does."""
        above = self.schema_named(schema)
        levels = [level for level in (above.table_patterns, self.table_patterns) if level]
        excluded = {table.name for table in above.tables if table.exclude}
        return (lambda table: table not in excluded and passes(levels, table)) if levels or excluded else None


def _first(*levels: int | None) -> int:
    return next((level for level in levels if level is not None), 0)


def _details(error: ValidationError) -> Iterator[InitErrorDetails]:
    for line in error.errors(include_url=False):
        # Rebuilt as custom errors, because a built-in one cannot be made again from its type alone.
        kind = PydanticCustomError(line["type"], "{allowed}", {"allowed": line["msg"], **line.get("ctx", {})})
        yield InitErrorDetails(type=kind, loc=line["loc"], input=line["input"])
