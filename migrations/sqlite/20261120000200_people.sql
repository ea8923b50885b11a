CREATE TABLE "user" (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    handle     TEXT UNIQUE,
    name       TEXT NOT NULL,
    email      TEXT,
    operator   INTEGER NOT NULL CHECK (operator IN (0, 1)),
    state      TEXT NOT NULL CHECK (state IN ('active', 'blocked')),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `password` is a sealed column.
CREATE TABLE local_account (
    "user"   BLOB NOT NULL PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
    email    TEXT NOT NULL UNIQUE,
    password BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- There from the moment that there was anybody, and never removed: set-up cannot be opened again.
CREATE TABLE setup (
    only         INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    completed_at INTEGER NOT NULL
) STRICT;
