"""What a mirror would become, found out by reading the source and writing nothing: for `plan` and `run --dry-run`."""
