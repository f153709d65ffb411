"""Filling MongoDB: a made-up shop, or files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    """The name of the MongoDB database."""
    collections: Sequence[str]

    def fill(self, database: Database[Document]) -> Iterator[int]:
        """Insert everything; after each batch, how many documents there are."""


class Shop:
    """The made-up shop."""

    database = "shop"

    def __init__(self, documents: int, seed: int) -> None:
        self._documents = documents
        self._seed = seed
        self.sizes = counts(documents)
        self.collections = tuple(self.sizes)

    def fill(self, database: Database[Document]) -> Iterator[int]:
        inserted = 0
        for name, batch in shop(self._documents, self._seed):
            _quick(database[name]).insert_many(batch, ordered=False)
            inserted += len(batch)
            yield inserted


class Files:
    """Extended JSON files of a directory."""

    database = "data"

    def __init__(self, directory: Path) -> None:
        """Raises ConfigurationError where there are none."""
        self._files: Mapping[str, Path] = files.find_files(directory)
        self.collections = tuple(self._files)

    def fill(self, database: Database[Document]) -> Iterator[int]:
        """As `Data.fill`. Raises ConfigurationError, which names file and line, for what MongoDB does not take."""
        inserted = 0
        for name, path in self._files.items():
            for batch in files.read(path):
                _insert(database, name, batch, path)
                inserted += len(batch.documents)
                yield inserted


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
