"""Change events of whole collections, and which collections are no one's to mirror.

Source: MongoDB manual, "Change Events": drop, rename, dropDatabase, invalidate. `$out`, `mapReduce` and a rename from
another database write a temporary collection, and rename it over the target: all of them end as one rename.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import bson

from warp.change import cluster_time
from warp.sources.base import TableEvent, TableFate
from warp.sources.mongodb.decoding import OPTIONS
from warp.sources.mongodb.odd_names import is_utf8, shown

# Made up of five random characters: the server's makeUniqueCollectionNamespace("tmp%%%%%.renameCollection").
_NOT_MIRRORED = re.compile(r"system\.|tmp\.(?:agg_out|mr)\.|tmp[0-9A-Za-z]{5}\.(?:renameCollection$|convertToCapped\.)")


def is_users(collection: str) -> bool:
    """Whether a collection is one of a user's, and not MongoDB's own, or one that it is about to rename."""
    return _NOT_MIRRORED.match(collection) is None


@lru_cache(maxsize=10_000)
def is_mirrored(collection: str) -> bool:
    """Whether a collection is one of a user's, and MongoDB tells what changes in it."""
    return is_users(collection) and is_utf8(collection)


def table_events(raw: bytes) -> Iterator[TableEvent]:
    """What an event that is not of a document means for the tables of its database: nothing, or one or two things.

    dropDatabase and invalidate mean nothing more than the drops that come before them.
    """
    event = bson.decode(raw, OPTIONS)
    stamp = event["clusterTime"]
    ts = cluster_time(stamp.time, stamp.inc)
    match event:
        case {"operationType": "drop", "ns": {"coll": str(dropped)}} if is_mirrored(dropped):
            yield TableEvent(table=dropped, fate=TableFate.DROPPED, ts=ts, cause="drop")
        case {"operationType": "rename", "ns": {"db": database, "coll": str(before)}, "to": target}:
            after = target["coll"]
            cause = f"rename of {shown(before)} to {shown(after)}"
            if is_mirrored(before):
                yield TableEvent(table=before, fate=TableFate.DROPPED, ts=ts, cause=cause)
            if target["db"] == database and is_mirrored(after):
                yield TableEvent(table=after, fate=TableFate.REPLACED, ts=ts, cause=cause)
