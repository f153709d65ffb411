-- Every decision about a table's shape, with what it was before and where that was needed.

ALTER TABLE schema_registry
    ADD COLUMN before jsonb,                            -- the shape of the version before, null where there was no table
    ADD COLUMN position text COLLATE "C";               -- in the stream, '' of a first load, NULL where not known

UPDATE schema_registry AS held SET before = (
    SELECT earlier.shape FROM schema_registry AS earlier
    WHERE earlier.schema_name = held.schema_name AND earlier.table_name = held.table_name
        AND earlier.version = held.version - 1);
