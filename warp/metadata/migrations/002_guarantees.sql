-- Tables that are dropped, replaced or blocked; letters that are replayed; progress that stalls.

ALTER TABLE sync_schemas
    ADD COLUMN advanced_at timestamptz NOT NULL DEFAULT now();   -- when the checkpoint last moved

ALTER TABLE sync_tables
    ADD COLUMN floor_ts bigint NOT NULL DEFAULT 0,      -- the source dropped or replaced the table then: what is older is void
    ADD COLUMN settled_ts bigint NOT NULL DEFAULT 0,    -- of a table that is read again: what is older is applied
    ADD COLUMN kept_ts bigint NOT NULL DEFAULT 0,       -- older rows are kept although the source dropped their table
    ADD COLUMN last_chunk integer NOT NULL DEFAULT 0,   -- a number is never given to another chunk
    ADD COLUMN blocked text,                            -- why nothing can be applied until a person acts
    ADD COLUMN blocked_remedy text,
    ADD COLUMN blocked_at timestamptz;

UPDATE sync_tables AS known SET last_chunk = coalesce((
    SELECT max(chunk) FROM snapshot_chunks AS loaded
    WHERE loaded.schema_name = known.schema_name AND loaded.table_name = known.table_name), 0);

ALTER TABLE sync_markers
    ADD COLUMN floor_ts bigint NOT NULL DEFAULT 0;      -- the table's, where whoever locks the marker is sure to see it

ALTER TABLE dead_letters
    ADD COLUMN traceback text NOT NULL DEFAULT '',      -- without messages, which may hold values
    ADD COLUMN remedy text,
    ADD COLUMN attempts integer NOT NULL DEFAULT 1,
    ADD COLUMN resolved_at timestamptz;
CREATE INDEX dead_letters_open ON dead_letters (schema_name, table_name, md5(key::text)) WHERE state = 'open';
CREATE INDEX dead_letters_newest ON dead_letters (schema_name, id) WHERE state = 'open';

CREATE TABLE audit_log (                                -- what was done to whole tables, and by hand
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    schema_name text NOT NULL,
    table_name text,
    action text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_at ON audit_log (schema_name, at);
