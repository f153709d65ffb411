"""The paths of RQ jobs. They lie in Redis while versions change: a path is never given another meaning.

A new meaning gets a new version; the old path stays until no queue can hold it any more.
"""

APPLY = "workers.jobs.apply_v1"
"""`(schema, table, number, of, correlation_id)`: drain a partition's log."""
LOAD = "workers.jobs.load_v1"
"""`(schema, table, chunk, 0, correlation_id)`: load a chunk of a snapshot."""
REPLAY = "workers.jobs.replay_v1"
"""`(letter)`: replay a dead letter."""

PATHS = {"apply": APPLY, "load": LOAD, "replay": REPLAY}
"""By the kind of their queue, which is `warp.transport.base.Wakeup.kind` for wake-ups."""
