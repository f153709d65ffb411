"""Filling MongoDB: a made-up shop, or files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from bson.errors import InvalidDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DocumentTooLarge, InvalidName, OperationFailure
from pymongo.write_concern import WriteConcern

from warp.demo import files
from warp.demo.shop import Document, counts, shop
from warp.errors import ConfigurationError

_DUPLICATE_KEY = 11000


class Data(Protocol):
    """What is mirrored."""

    database: str
    """The name of the MongoDB database, and so of the PostgreSQL schema."""
    what: str
    """What it is, in a few words."""

    def work(self) -> dict[str, Any]:
        """What the writer must know, as `warp.demo.writer.write` takes it."""

    def fill(self, database: Database[Document]) -> int:
        """Insert everything; returns how many documents that is."""


class Shop:
    """The made-up shop."""

    database = "shop"

    def __init__(self, documents: int, seed: int) -> None:
        self.what = f"a made-up shop of {documents:,} documents"
        self._documents = documents
        self._seed = seed

    def work(self) -> dict[str, Any]:
        return {"sizes": counts(self._documents)}

    def fill(self, database: Database[Document]) -> int:
        inserted = 0
        for name, batch in shop(self._documents, self._seed):
            _quick(database[name]).insert_many(batch, ordered=False)
            inserted += len(batch)
        return inserted


class Files:
    """Extended JSON files of a directory."""

    database = "data"

    def __init__(self, directory: Path) -> None:
        """Raises ConfigurationError where there are none."""
        self._files: Mapping[str, Path] = files.find_files(directory)
        self.what = f"the {len(self._files)} files of {directory}"

    def work(self) -> dict[str, Any]:
        return {"collections": list(self._files)}

    def fill(self, database: Database[Document]) -> int:
        """As `Data.fill`. Raises ConfigurationError, which names file and line, for what MongoDB does not take."""
        inserted = 0
        for name, path in self._files.items():
            for batch in files.read(path):
                _insert(database, name, batch, path)
                inserted += len(batch.documents)
        if not inserted:
            raise ConfigurationError(f"there is not one document in {self.what}")
        return inserted


def _quick(collection: Collection[Document]) -> Collection[Document]:
    """Nobody waits for the disk while there is nothing to lose."""
    return collection.with_options(write_concern=WriteConcern(w=1))


def _insert(database: Database[Document], name: str, batch: files.Batch, path: Path) -> None:
    try:
        _quick(database[name]).insert_many(batch.documents, ordered=False)
    except BulkWriteError as error:
        refused: dict[str, Any] = error.details["writeErrors"][0]
        line = batch.lines[refused["index"]]
        reason = "its _id is not unique" if refused["code"] == _DUPLICATE_KEY else refused["errmsg"]
        raise ConfigurationError(f"{path}:{line}: MongoDB refuses the document: {reason}") from None
    except InvalidName as error:
        raise ConfigurationError(f"{path}: no collection can have this name: {error}") from None
    except (DocumentTooLarge, InvalidDocument, OperationFailure, OverflowError) as error:
        lines = f"{batch.lines[0]} to {batch.lines[-1]}"
        raise ConfigurationError(f"{path}: MongoDB refuses a document of lines {lines}: {error}") from None
