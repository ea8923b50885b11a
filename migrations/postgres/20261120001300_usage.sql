-- What happened on a server in an hour; `hour` is its beginning.
CREATE TABLE usage (
    tenant UUID NOT NULL,
    server UUID NOT NULL,
    hour   BIGINT NOT NULL,
    calls  BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    PRIMARY KEY (tenant, server, hour),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) ON DELETE CASCADE
);

CREATE INDEX usage_hour ON usage (hour);

-- Batches that were added, for as long as they may be delivered again.
CREATE TABLE usage_batch (
    id UUID NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);

CREATE INDEX usage_batch_at ON usage_batch (at);
