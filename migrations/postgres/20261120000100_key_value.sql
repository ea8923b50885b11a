-- Values by owner, collection and key. `value` is sealed; `expires_at` is bound into the seal.
CREATE TABLE key_value (
    owner      TEXT COLLATE "C" NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    value      BYTEA NOT NULL,
    revision   BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (owner, collection, key)
);

CREATE INDEX key_value_expiry ON key_value (expires_at) WHERE expires_at IS NOT NULL;

-- The newest revision of all: counting over all places means that no place repeats one, deleted or not.
-- A sequence, because a row would make all writers wait for each other.
CREATE SEQUENCE key_value_revision AS BIGINT;

-- A known text, sealed: shows at the start whether the keys are the ones that this database was written with.
CREATE TABLE canary (
    "only" INTEGER NOT NULL PRIMARY KEY CHECK ("only" = 1),
    sealed BYTEA NOT NULL
);
