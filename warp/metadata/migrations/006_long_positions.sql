-- A position holds its document's key, in hexadecimal: it can be too long for an index.

DROP INDEX dead_letters_once;
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (schema_name, table_name, md5(position), md5(key::text));
