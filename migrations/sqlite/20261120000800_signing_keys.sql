-- `private` is a sealed column.
CREATE TABLE signing_key (
    kid        TEXT NOT NULL PRIMARY KEY,
    algorithm  TEXT NOT NULL,
    private    BLOB NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retiring')),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
