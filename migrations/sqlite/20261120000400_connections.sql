-- `tenant` is null for the platform's; `client_secret` is a sealed column.
CREATE TABLE connection (
    id            BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant        BLOB REFERENCES tenant ON DELETE CASCADE,
    slug          TEXT NOT NULL,
    callback      TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL CHECK (kind IN ('github', 'google', 'oidc')),
    name          TEXT NOT NULL,
    client_id     TEXT NOT NULL,
    client_secret BLOB NOT NULL,
    endpoints     TEXT NOT NULL CHECK (json_valid(endpoints)),
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX connection_slug ON connection (ifnull(tenant, x''), slug);

CREATE TABLE identity (
    connection     BLOB NOT NULL REFERENCES connection ON DELETE CASCADE,
    subject        TEXT NOT NULL,
    "user"         BLOB NOT NULL REFERENCES "user" ON DELETE CASCADE,
    email          TEXT,
    email_verified INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    PRIMARY KEY (connection, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX identity_user ON identity ("user");
