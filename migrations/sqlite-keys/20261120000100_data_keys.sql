-- Data keys, wrapped by the master key. In a file of its own, so that backups of the data hold none of them.
CREATE TABLE data_key (
    owner   TEXT NOT NULL,
    id      INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (owner, id)
) STRICT, WITHOUT ROWID;
