"""What is said about a wrong configuration file: the line, the key, what was found, what is allowed, and no secret."""

from pathlib import Path

import pytest

from warp.config import load_config
from warp.errors import ConfigurationError, ExitCode

SECRET = "hunter2"
SERVERS = {
    "CARTRIDGE_WARP_SOURCE__CONNECTION_STRING": f"mongodb://u:{SECRET}@source",
    "CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING": f"postgresql://u:{SECRET}@destination/db",
    "CARTRIDGE_WARP_REDIS__CONNECTION_STRING": f"redis://:{SECRET}@redis:6379/0",
}
SHOP = "schemas: [{name: shop}]\n"


def error_of(directory: Path, text: str, environ: dict[str, str], name: str = "c.yaml") -> ConfigurationError:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as failure:
        load_config(path, environ)
    assert failure.value.exit_code == ExitCode.USAGE
    return failure.value


IN_FILE = {
    "unknown key": (SHOP + "partition: 3\n", "c.yaml:2: partition: unknown key; did you mean partitions?"),
    "unknown key of a table": (
        "schemas: [{name: shop, tables: [{name: t, batch_size: 3}]}]\n",
        "c.yaml:1: schemas[0].tables[0].batch_size: unknown key; did you mean stream_batch_size?",
    ),
    "unknown key like no other": (
        SHOP + "web: {zzz: 1}\n",
        "c.yaml:2: web.zzz: unknown key; known: host, port",
    ),
    "unknown key that is a connection string": (
        SHOP + f"redis: {{'redis://u:{SECRET}@h': }}\n",
        "c.yaml:2: redis.redis://***@h: unknown key; known: connection_string",
    ),
    "not a number": (
        SHOP + "partitions: many\n",
        'c.yaml:2: partitions: found "many"; allowed: a whole number from 1 to 64',
    ),
    "a number out of range": (
        "schemas:\n- name: a\n- name: b\n  tables:\n  - name: t\n    partitions: 65\n",
        "c.yaml:6: schemas[1].tables[0].partitions: found 65; allowed: a whole number from 1 to 64",
    ),
    "a truth value for a number": (
        SHOP + "partitions: yes\n",
        "c.yaml:2: partitions: found True; allowed: a whole number from 1 to 64",
    ),
    "not one of several": (
        SHOP + "deletion_strategy: medium\n",
        "c.yaml:2: deletion_strategy: found \"medium\"; allowed: 'hard' or 'soft'",
    ),
    "no bytes": (
        SHOP + "log_high_water_mark: 3 apples\n",
        'c.yaml:2: log_high_water_mark: found "3 apples"; allowed: 1MiB or more, as a number of bytes or with a unit, '
        'such as "256MB" or "256MiB"',
    ),
    "too soon for a stall": (
        SHOP + "monitoring: {stall_seconds: 5}\n",
        "c.yaml:2: monitoring.stall_seconds: found 5; allowed: a whole number from 15 to 86400",
    ),
    "no hours": (
        SHOP + "monitoring: {min_oplog_headroom_hours: -1}\n",
        "c.yaml:2: monitoring.min_oplog_headroom_hours: found -1; allowed: a number of hours from 0, which switches it "
        "off, to 8760",
    ),
    "a list for a section": (SHOP + "web: [1]\n", "c.yaml:2: web: found a list; allowed: keys with values"),
    "a section for a list": ("schemas: {name: shop}\n", "c.yaml:1: schemas: found keys with values; allowed: a list"),
    "not a string": (
        "schemas: [{name: no}]\n",
        "c.yaml:1: schemas[0].name: found False; allowed: a string (YAML takes some words and numbers for something "
        "else: put it in quotes)",
    ),
    "no name": ("schemas: [{mode: stream}]\n", "c.yaml:1: schemas[0].name: missing; it must be given, here"),
    "no value": (SHOP + "partitions:\n", "c.yaml:2: partitions: nothing given; allowed: a whole number from 1 to 64"),
    "no schemas": (
        "mode: multi\n",
        "c.yaml: schemas: nothing given; allowed: at least one schema: a list with a name in each item",
    ),
    "a key twice": (
        SHOP + "partitions: 1\npartitions: 2\n",
        "c.yaml:3: partitions: given a second time, after line 2; allowed: each key once",
    ),
    "a schema twice": (
        "schemas:\n- name: a\n- name: a\n",
        'c.yaml:3: schemas[1].name: found "a"; allowed: a name of its own: schemas[0] has this one',
    ),
    "a table twice": (
        "schemas: [{name: a, tables: [{name: t}, {name: u}, {name: t}]}]\n",
        'c.yaml:1: schemas[0].tables[2].name: found "t"; allowed: a name of its own: schemas[0].tables[0] has this one',
    ),
    "MongoDB's name": (
        "schemas: [{name: admin}]\n",
        'c.yaml:1: schemas[0].name: found "admin"; allowed: a database of yours: MongoDB keeps admin, local, config '
        "for itself",
    ),
    "no database's name": (
        "schemas: [{name: a.b}]\n",
        'c.yaml:1: schemas[0].name: found "a.b"; allowed: a name of 1 to 63 bytes, without spaces and '
        '/ \\ . " $ * < > : | ?',
    ),
    "no collection's name": (
        "schemas: [{name: a, tables: [{name: system.views}]}]\n",
        'c.yaml:1: schemas[0].tables[0].name: found "system.views"; allowed: a collection name: not empty, without $, '
        "not starting with system.",
    ),
    "batch mode without a schedule": (
        "schemas: [{name: a, mode: batch}]\n",
        "c.yaml:1: schemas[0].schedule: nothing given; allowed: a cron schedule, which batch mode needs, such as "
        '"*/5 * * * *"',
    ),
    "a schedule without batch mode": (
        'schemas: [{name: a, schedule: "* * * * *"}]\n',
        'c.yaml:1: schemas[0].schedule: found "* * * * *"; allowed: no schedule: a stream has none; mode: batch has',
    ),
    "too few cron fields": (
        'schemas: [{name: a, mode: batch, schedule: "*/5 * * *"}]\n',
        'c.yaml:1: schemas[0].schedule: found "*/5 * * *"; allowed: five cron fields (minute, hour, day of month, '
        'month, day of week), such as "*/5 * * * *"',
    ),
    "a cron field out of range": (
        'schemas: [{name: a, mode: batch, schedule: "* 24 * * *"}]\n',
        'c.yaml:1: schemas[0].schedule: found "* 24 * * *"; allowed: for the hour of a cron schedule, *, or numbers '
        "from 0 to 23, with - , and /",
    ),
    "single mode without its schema": (
        "mode: single\nschemas: [{name: a}]\n",
        "c.yaml: single_schema_name: nothing given; allowed: the name of the one schema, which mode: single needs",
    ),
    "single mode with another schema": (
        "mode: single\nsingle_schema_name: a\nschemas:\n- name: a\n- name: b\n",
        'c.yaml:5: schemas[1].name: found "b"; allowed: in mode: single, only a (single_schema_name)',
    ),
    "single mode with another database": (
        "mode: single\nsingle_schema_name: a\nsource: {database: b}\n",
        'c.yaml:3: source.database: found "b"; allowed: a, as the schema is called: one MongoDB database is mirrored '
        "into the PostgreSQL schema of the same name",
    ),
    "multi mode with a single schema's name": (
        "single_schema_name: a\nschemas: [{name: a}]\n",
        'c.yaml:1: single_schema_name: found "a"; allowed: only given with mode: single',
    ),
    "several schemas with one database": (
        "source: {database: a}\nschemas: [{name: a}, {name: b}]\n",
        'c.yaml:1: source.database: found "a"; allowed: none, as there are several schemas: one MongoDB database is '
        "mirrored into the PostgreSQL schema of the same name",
    ),
    "an unknown type": (
        SHOP + "destination: {type: oracle}\n",
        'c.yaml:2: destination.type: found "oracle"; allowed: postgresql',
    ),
}


@pytest.mark.parametrize(("text", "expected"), IN_FILE.values(), ids=IN_FILE)
def test_a_problem_in_the_file(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = error_of(tmp_path, text, SERVERS).problems

    assert problem.removeprefix(f"{tmp_path}/") == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("c.yaml", f"redis:\n  connection_string: [{SECRET}\n", "c.yaml:3:1: not valid YAML: expected "),
        ("c.yaml", f"redis:\n  connection_string: *{SECRET}\n", "c.yaml:2:22: not valid YAML: found undefined alias …"),
        ("c.yaml", f"redis:\n  connection_string: !{SECRET} x\n", "c.yaml:2:22: not valid YAML: could not determine"),
        ("c.yaml", f"redis: a: {SECRET}\n", "c.yaml:1:9: not valid YAML: mapping values are not allowed here"),
        ("c.yaml", f"redis:\n  {SECRET}\x00\n", "c.yaml:2:10: not valid YAML: a character that YAML does not allow"),
        ("c.json", f'{{"redis":\n  "{SECRET}"', "c.json:2:12: not valid JSON: Expecting ',' delimiter"),
        ("c.yaml", f"{SECRET}\n", "c.yaml holds no keys with values at its top level"),
        ("c.json", f'["{SECRET}"]', "c.json holds no keys with values at its top level"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(tmp_path: Path, name: str, text: str, expected: str) -> None:
    error = error_of(tmp_path, text, SERVERS, name)

    assert expected in str(error)
    assert SECRET not in repr(error) + str(error)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"mode: multi # \xe9\n")

    with pytest.raises(ConfigurationError, match=r"latin.yaml is not UTF-8 text \(byte 14\)"):
        load_config(latin, SERVERS)
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_config(tmp_path, SERVERS)


@pytest.mark.parametrize(
    "text",
    [
        f"{SHOP}source: mongodb://u:{SECRET}@h\n",
        f"{SHOP}source: connection_string:mongodb://u:{SECRET}@h\n",
        f"{SHOP}source: {SECRET}\n",
        f"{SHOP}source: [{SECRET}]\n",
        f"{SHOP}source: {{password: {SECRET}}}\n",
        f"{SHOP}source: {{type: 'mongodb://u:{SECRET} x@h'}}\n",
        f"{SHOP}source: {{connection_string: [{SECRET}]}}\npartitions: 0\n",
        f"{SHOP}redis: {{connection_string: {{{SECRET}: {SECRET}}}}}\n",
        f"{SHOP}redis: {{connection_string: 2}}\npassword: {SECRET}\n",
        f"{SHOP}destination: {{connection_string: 'postgres://h/db?password={SECRET} x'}}\npartitions: 0\n",
        f"schemas: 'mongodb://u:{SECRET}@h'\n",
        f"schemas: [{{name: 'mongodb://u:{SECRET}@h'}}]\n",
    ],
)
def test_no_error_about_the_file_shows_a_secret(tmp_path: Path, text: str) -> None:
    error = error_of(tmp_path, text, {})

    assert SECRET not in f"{error!s} {error!r} {error.__cause__!r} {error.__context__!r}"
