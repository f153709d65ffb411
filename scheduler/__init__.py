"""Everything that puts work on queues: the tailer, first loads, and the reconcile loop. Never imports `workers`."""
