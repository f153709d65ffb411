"""How a table's shape follows what comes: infer, compare, decide. Pure: no I/O, no SQL, no BSON."""
