-- Processes that serve: when each was last seen, and the last change that its snapshots have taken in.
CREATE TABLE replica (
    id       UUID NOT NULL PRIMARY KEY,
    seen_at  BIGINT NOT NULL,
    position BIGINT NOT NULL
);

CREATE INDEX replica_seen ON replica (seen_at);
