-- What has been done, in the database where it was done: rows, markers and dead letters commit together.
-- Positions are compared bytewise, hence COLLATE "C".

CREATE TABLE sync_schemas (
    schema_name text PRIMARY KEY,
    start_ts bigint NOT NULL,                      -- cluster time at which the stream was first opened
    checkpoint text COLLATE "C" NOT NULL,          -- everything up to this position is applied
    checkpoint_ts bigint NOT NULL,
    checkpointed_at timestamptz NOT NULL DEFAULT now(),
    source_ts bigint NOT NULL                      -- the source's latest cluster time that the tailer has seen
);

CREATE TABLE sync_tables (
    schema_name text NOT NULL,
    table_name text NOT NULL,                      -- the collection's name; target_name may be shorter
    target_name text NOT NULL,
    partitions integer NOT NULL DEFAULT 1 CHECK (partitions > 0),
    snapshot text NOT NULL DEFAULT 'none' CHECK (snapshot IN ('none', 'planned', 'loading', 'done')),
    documents_estimate bigint NOT NULL DEFAULT 0,
    snapshot_started_at timestamptz,
    snapshot_finished_at timestamptz,
    PRIMARY KEY (schema_name, table_name),
    UNIQUE (schema_name, target_name)
);

CREATE TABLE sync_markers (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    partition integer NOT NULL,
    partitions integer NOT NULL,                   -- the number that the position is of
    position text COLLATE "C" NOT NULL DEFAULT '',  -- every change of the partition up to here is applied
    ts bigint NOT NULL DEFAULT 0,
    changes_applied bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, table_name, partition)
);

CREATE TABLE snapshot_chunks (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    chunk integer NOT NULL,
    lower_bound bytea,                             -- in the source's own bytes, NULL is open; moves up with what is loaded
    upper_bound bytea,
    rows_loaded bigint NOT NULL DEFAULT 0,
    finished_at timestamptz,                       -- NULL until all of the chunk is loaded
    PRIMARY KEY (schema_name, table_name, chunk)
);

CREATE TABLE tombstones (                          -- deletes seen while a snapshot is open: chunks must not undo them
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key text COLLATE "C" NOT NULL,
    ts bigint NOT NULL
);
CREATE UNIQUE INDEX tombstones_key ON tombstones (schema_name, table_name, md5(key));  -- a key can be too long itself

CREATE TABLE schema_registry (                     -- the shape of each table, one row per version; the last one counts
    schema_name text NOT NULL,
    table_name text NOT NULL,
    version integer NOT NULL,
    shape jsonb NOT NULL,
    cause text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, table_name, version)
);

CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key jsonb NOT NULL,                            -- {"kind": …, "text": …}
    operation text NOT NULL,
    position text COLLATE "C" NOT NULL,
    ts bigint NOT NULL,
    payload bytea NOT NULL,                        -- the change, in the source's own bytes
    error_class text NOT NULL,
    error text NOT NULL,
    correlation_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'applied', 'superseded', 'discarded'))
);
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (schema_name, table_name, position, md5(key::text));

CREATE TABLE error_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name text NOT NULL,
    table_name text,
    error_class text NOT NULL,
    error text NOT NULL,
    remedy text,
    correlation_id text,                           -- of the last time
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    occurrences bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX error_log_once ON error_log (schema_name, coalesce(table_name, ''), error_class, md5(error));
