-- `secret_hash` is SHA-256 of a secret of 256 random bits.
CREATE TABLE client (
    client_id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id               UUID NOT NULL UNIQUE,
    origin           TEXT NOT NULL CHECK (origin IN ('registered', 'dynamic')),
    tenant           UUID REFERENCES tenant ON DELETE CASCADE,
    name             TEXT,
    uri              TEXT,
    redirect_uris    TEXT NOT NULL CHECK (redirect_uris::json IS NOT NULL),
    auth_method      TEXT NOT NULL CHECK (auth_method IN ('none', 'client_secret_basic', 'client_secret_post')),
    secret_hash      BYTEA CHECK (length(secret_hash) = 32),
    scopes           TEXT NOT NULL,
    may_refresh      BOOLEAN NOT NULL,
    application_type TEXT NOT NULL CHECK (application_type IN ('web', 'native')),
    created_at       BIGINT NOT NULL,
    last_used_at     BIGINT,
    expires_at       BIGINT
);

CREATE INDEX client_tenant ON client (tenant) WHERE tenant IS NOT NULL;
CREATE INDEX client_expiry ON client (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX client_origin ON client (origin, expires_at);
