"""Everything that takes work off queues: applying changes and loading chunks. Never imports `scheduler`."""
