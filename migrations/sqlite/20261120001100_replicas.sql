-- Processes that serve: when each was last seen, and the last change that its snapshots have taken in.
CREATE TABLE replica (
    id       BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    seen_at  INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX replica_seen ON replica (seen_at);
