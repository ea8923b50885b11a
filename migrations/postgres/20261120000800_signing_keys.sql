-- `private` is a sealed column.
CREATE TABLE signing_key (
    kid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    algorithm  TEXT NOT NULL,
    private    BYTEA NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retiring')),
    created_at BIGINT NOT NULL
);
