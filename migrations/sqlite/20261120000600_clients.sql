-- `secret_hash` is SHA-256 of a secret of 256 random bits.
CREATE TABLE client (
    client_id        TEXT NOT NULL PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    origin           TEXT NOT NULL CHECK (origin IN ('registered', 'dynamic')),
    tenant           BLOB REFERENCES tenant ON DELETE CASCADE,
    name             TEXT,
    uri              TEXT,
    redirect_uris    TEXT NOT NULL CHECK (json_valid(redirect_uris)),
    auth_method      TEXT NOT NULL CHECK (auth_method IN ('none', 'client_secret_basic', 'client_secret_post')),
    secret_hash      BLOB CHECK (length(secret_hash) = 32),
    scopes           TEXT NOT NULL,
    may_refresh      INTEGER NOT NULL CHECK (may_refresh IN (0, 1)),
    application_type TEXT NOT NULL CHECK (application_type IN ('web', 'native')),
    created_at       INTEGER NOT NULL,
    last_used_at     INTEGER,
    expires_at       INTEGER
) STRICT;

CREATE INDEX client_tenant ON client (tenant) WHERE tenant IS NOT NULL;
CREATE INDEX client_expiry ON client (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX client_origin ON client (origin, expires_at);
