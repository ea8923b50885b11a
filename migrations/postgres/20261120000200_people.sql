CREATE TABLE "user" (
    id         UUID NOT NULL PRIMARY KEY,
    handle     TEXT COLLATE "C" UNIQUE,
    name       TEXT NOT NULL,
    email      TEXT,
    operator   BOOLEAN NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('active', 'blocked')),
    created_at BIGINT NOT NULL
);

-- `password` is a sealed column.
CREATE TABLE local_account (
    "user"   UUID NOT NULL PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
    email    TEXT COLLATE "C" NOT NULL UNIQUE,
    password BYTEA NOT NULL
);

-- There from the moment that there was anybody, and never removed: set-up cannot be opened again.
CREATE TABLE setup (
    "only"       INTEGER NOT NULL PRIMARY KEY CHECK ("only" = 1),
    completed_at BIGINT NOT NULL
);
