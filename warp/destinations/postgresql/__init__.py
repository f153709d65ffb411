"""PostgreSQL as a destination. Nothing outside this package, and the metadata store, knows SQL."""
