"""Extended JSON files as collections: what they hold arrives as it is, and an error says where it is."""

from __future__ import annotations

import gzip
import re
from datetime import datetime
from pathlib import Path

import pytest
from bson import DatetimeMS, Decimal128, Int64, ObjectId

from warp.demo.files import find_files, read
from warp.errors import ConfigurationError, ExitCode


def test_files_are_collections_by_their_name(tmp_path: Path) -> None:
    for name in ("a.json", "b.c.json.gz", "readme.md", ".json"):
        (tmp_path / name).touch()
    assert list(find_files(tmp_path)) == ["a", "b.c"]


def test_two_files_of_one_collection_are_refused(tmp_path: Path) -> None:
    for name in ("a.json", "a.json.gz"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigurationError, match="both the collection a"):
        find_files(tmp_path)


def test_a_directory_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no file NAME\.json"):
        find_files(tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_values_keep_their_types_and_documents_their_lines(tmp_path: Path, compressed: bool) -> None:
    text = (
        '{"_id": {"$oid": "65e1b9c00000000000000001"}, "n": {"$numberLong": "7"}}\n'
        "\n"
        '{"d": {"$date": "2024-03-01T08:00:00Z"}, "x": {"$numberDecimal": "1.10"}, "s": "ü"}\n'
        '{"far": {"$date": {"$numberLong": "999999999999999"}}}'
    )
    path = tmp_path / ("a.json.gz" if compressed else "a.json")
    path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    [batch] = read(path)
    assert batch.lines == [1, 3, 4]
    assert batch.documents == [
        {"_id": ObjectId("65e1b9c00000000000000001"), "n": Int64(7)},
        {"d": datetime(2024, 3, 1, 8), "x": Decimal128("1.10"), "s": "ü"},
        {"far": DatetimeMS(999999999999999)},
    ]
    assert isinstance(batch.documents[0]["n"], Int64)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1,}', "not Extended JSON: "),
        (b"[1, 2]", "not a document"),
        (b'"text"', "not a document"),
        (b'{"a": {"$oid": "12"}}', "not Extended JSON: InvalidId"),
        (b'{"a": {"$date": "yesterday"}}', "not Extended JSON: "),
        (b'{"a": "\xff"}', "not Extended JSON: UnicodeDecodeError"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"_id": 1}\n' + line + b'\n{"_id": 3}\n')
    with pytest.raises(ConfigurationError, match=re.escape(f"{path}:2: {reason}")) as caught:
        list(read(path))
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'{"_id": 1}\n' * 10_000)[:-20])
    with pytest.raises(ConfigurationError, match=re.escape(str(path)) + r":\d+: cannot be read"):
        list(read(path))
