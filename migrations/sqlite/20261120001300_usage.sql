-- What happened on a server in an hour; `hour` is its beginning.
CREATE TABLE usage (
    tenant BLOB NOT NULL,
    server BLOB NOT NULL,
    hour   INTEGER NOT NULL,
    calls  INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    PRIMARY KEY (tenant, server, hour),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_hour ON usage (hour);

-- Batches that were added, for as long as they may be delivered again.
CREATE TABLE usage_batch (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_batch_at ON usage_batch (at);
