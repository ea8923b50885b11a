-- Values by owner, collection and key. `value` is sealed; `expires_at` is bound into the seal.
CREATE TABLE key_value (
    owner      TEXT NOT NULL,
    collection TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      BLOB NOT NULL,
    revision   INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (owner, collection, key)
) STRICT;

CREATE INDEX key_value_expiry ON key_value (expires_at) WHERE expires_at IS NOT NULL;

-- The newest revision of all: counting over all places means that no place repeats one, deleted or not.
CREATE TABLE key_value_revision (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO key_value_revision (only, last) VALUES (1, 0);

-- A known text, sealed: shows at the start whether the keys are the ones that this database was written with.
CREATE TABLE canary (
    only   INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    sealed BLOB NOT NULL
) STRICT;
