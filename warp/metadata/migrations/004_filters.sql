-- Tables that the configuration excludes: one that is included later has missed changes, and must be read.

CREATE TABLE excluded_tables (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, table_name)
);
