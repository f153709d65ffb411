"""The kinds of value a configuration holds, each with the check that says what is allowed.

A check raises `ValueError` with what is allowed, and never with what it was given: that may be a secret.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from warp.config.secrets import HOSTS, LIBPQ_PAIRS
from warp.evolution.rules import MOST_COLUMNS

ConnectionCheck = Callable[[SecretStr], SecretStr]

_SYSTEM_DATABASES = ("admin", "local", "config")
# MongoDB's "Naming Restrictions" for databases; 63 bytes is also PostgreSQL's limit for an identifier.
_FORBIDDEN_IN_DATABASES = re.compile(r'[/\\. "$*<>:|?\x00]')
_MAX_DATABASE_BYTES = 63

# Stricter than the drivers, which quote a part of the password when it makes them lose their way.
_URL = re.compile(rf"[a-z+]+://(?:[^\s/?#@\[\]]*@)?{HOSTS}(?:/[^\s?@]*)?(?:\?\S*)?")

_BYTE_SIZE = TypeAdapter(ByteSize)
_FEWEST_LOG_BYTES = 2**20
_MOST_HOURS = 8760

_CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_CRON_NAMES = {
    "month": ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_CRON_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


def _check_schema_name(name: str) -> str:
    if name in _SYSTEM_DATABASES:
        raise ValueError(f"a database of yours: MongoDB keeps {', '.join(_SYSTEM_DATABASES)} for itself")
    if not name or _FORBIDDEN_IN_DATABASES.search(name) or len(name.encode()) > _MAX_DATABASE_BYTES:
        raise ValueError(f'a name of 1 to {_MAX_DATABASE_BYTES} bytes, without spaces and / \\ . " $ * < > : | ?')
    return name


def _check_table_name(name: str) -> str:
    if not name or "$" in name or "\x00" in name or name.startswith("system."):
        raise ValueError("a collection name: not empty, without $, not starting with system.")
    return name


def _check_cron(schedule: str) -> str:
    fields = schedule.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError('five cron fields (minute, hour, day of month, month, day of week), such as "*/5 * * * *"')
    for field, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_is_cron_part(part, _CRON_NAMES.get(name, ()), low, high) for part in field.split(",")):
            raise ValueError(f"for the {name} of a cron schedule, *, or numbers from {low} to {high}, with - , and /")
    return schedule


def _is_cron_part(part: str, names: tuple[str, ...], low: int, high: int) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None or (match["step"] is not None and int(match["step"]) == 0):
        return False
    numbers = [_cron_number(bound, names) for bound in match.group("first", "last") if bound is not None]
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)


def _cron_number(text: str, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower())
    return int(text) if text.isdecimal() else -1


def _url(*schemes: str, or_keywords: bool = False) -> ConnectionCheck:
    allowed = f"a connection string that starts with {' or '.join(schemes)}"
    if or_keywords:
        allowed += ", or key=value pairs as libpq takes them"

    def check(dsn: SecretStr) -> SecretStr:
        value = dsn.get_secret_value()
        if or_keywords and LIBPQ_PAIRS.fullmatch(value):
            return dsn
        if not value.startswith(schemes):
            raise ValueError(allowed)
        if not _URL.fullmatch(value):
            raise ValueError("numbers for ports; in user and password, / ? # @ : [ ] and spaces percent-encoded")
        return dsn

    return check


def _one_of(known: Mapping[str, Any]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(", ".join(known))
        return name

    return check


def _whole(low: int, high: int) -> WrapValidator:
    allowed = f"a whole number from {low} to {high}"

    def check(value: object, handler: ValidatorFunctionWrapHandler) -> int:
        try:
            number: int = handler(value)
        except ValidationError:
            raise ValueError(allowed) from None
        if isinstance(value, bool) or not low <= number <= high:
            raise ValueError(allowed)
        return number

    return WrapValidator(check)


def _hours(value: object, handler: ValidatorFunctionWrapHandler) -> float:
    try:
        number: float = handler(value)
    except ValidationError:
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= _MOST_HOURS:
        raise ValueError(f"a number of hours from 0, which switches it off, to {_MOST_HOURS}")
    return number


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _bytes(value: object) -> int:
    try:
        size = int(_BYTE_SIZE.validate_python(value))
    except ValidationError:
        size = 0
    if size < _FEWEST_LOG_BYTES:
        raise ValueError('1MiB or more, as a number of bytes or with a unit, such as "256MB" or "256MiB"')
    return size


SOURCE_TYPES: Mapping[str, ConnectionCheck] = {"mongodb": _url("mongodb://", "mongodb+srv://")}
DESTINATION_TYPES: Mapping[str, ConnectionCheck] = {
    "postgresql": _url("postgresql://", "postgres://", or_keywords=True),
}

SourceType = Annotated[str, AfterValidator(_one_of(SOURCE_TYPES))]
DestinationType = Annotated[str, AfterValidator(_one_of(DESTINATION_TYPES))]
RedisUrl = Annotated[SecretStr, AfterValidator(_url("redis://", "rediss://", "unix://"))]
SchemaName = Annotated[str, AfterValidator(_check_schema_name)]
TableName = Annotated[str, AfterValidator(_check_table_name)]
Cron = Annotated[str, AfterValidator(_check_cron)]
DeletionStrategy = Literal["hard", "soft"]
BatchSize = Annotated[int, _whole(1, 100_000)]
Partitions = Annotated[int, _whole(1, 64)]
Columns = Annotated[int, _whole(1, MOST_COLUMNS)]
FlattenDepth = Annotated[int, _whole(0, 10)]
LogBytes = Annotated[int, BeforeValidator(_bytes)]
StallSeconds = Annotated[int, _whole(15, 86_400)]
"""An idle source's time moves once in ten seconds: less would take it for one that goes on."""
Hours = Annotated[float, WrapValidator(_hours)]
Port = Annotated[int, _whole(1, 65535)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
LogFormat = Literal["json", "console", "auto"]
