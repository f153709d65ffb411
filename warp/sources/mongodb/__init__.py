"""MongoDB as a source. Nothing outside this package knows BSON."""
