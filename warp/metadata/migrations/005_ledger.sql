-- Values that were kept in `_extra`, counted within the transactions that wrote them.

CREATE TABLE extra_values (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    share integer NOT NULL,                        -- a partition, or below 0 a share of the first loads: has one writer
    field text,                                    -- as `_extra` names it, NULL: fields beyond those that are told apart
    reason text NOT NULL,
    values_kept bigint NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE extra_values SET (fillfactor = 50);    -- so that a row that counts on stays on its page
CREATE UNIQUE INDEX extra_values_once
    ON extra_values (schema_name, table_name, share, (field IS NULL), coalesce(field, ''), reason);
