-- `tenant` is null for the platform's; `client_secret` is a sealed column.
CREATE TABLE connection (
    id            UUID NOT NULL PRIMARY KEY,
    tenant        UUID REFERENCES tenant ON DELETE CASCADE,
    slug          TEXT COLLATE "C" NOT NULL,
    callback      TEXT COLLATE "C" NOT NULL UNIQUE,
    kind          TEXT NOT NULL CHECK (kind IN ('github', 'google', 'oidc')),
    name          TEXT NOT NULL,
    client_id     TEXT NOT NULL,
    client_secret BYTEA NOT NULL,
    endpoints     TEXT NOT NULL CHECK (endpoints::json IS NOT NULL),
    created_at    BIGINT NOT NULL
);

CREATE UNIQUE INDEX connection_slug ON connection (tenant, slug) NULLS NOT DISTINCT;

CREATE TABLE identity (
    connection     UUID NOT NULL REFERENCES connection ON DELETE CASCADE,
    subject        TEXT COLLATE "C" NOT NULL,
    "user"         UUID NOT NULL REFERENCES "user" ON DELETE CASCADE,
    email          TEXT,
    email_verified BOOLEAN NOT NULL,
    PRIMARY KEY (connection, subject)
);

CREATE INDEX identity_user ON identity ("user");
