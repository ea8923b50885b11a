-- Clients get keys, the token that manages a registration, what they said about themselves, and a block. A
-- check cannot be altered, so the table is made anew. `registration_hash` is SHA-256 of 256 random bits, and
-- the words of `metadata` are the client's own.
CREATE TABLE client_anew (
    client_id         TEXT NOT NULL PRIMARY KEY,
    id                BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    origin            TEXT NOT NULL CHECK (origin IN ('registered', 'dynamic')),
    tenant            BLOB REFERENCES tenant ON DELETE CASCADE,
    name              TEXT,
    uri               TEXT,
    redirect_uris     TEXT NOT NULL CHECK (json_valid(redirect_uris)),
    auth_method       TEXT NOT NULL
                      CHECK (auth_method IN ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')),
    secret_hash       BLOB CHECK (length(secret_hash) = 32),
    scopes            TEXT NOT NULL,
    may_refresh       INTEGER NOT NULL CHECK (may_refresh IN (0, 1)),
    application_type  TEXT NOT NULL CHECK (application_type IN ('web', 'native')),
    created_at        INTEGER NOT NULL,
    last_used_at      INTEGER,
    expires_at        INTEGER,
    jwks              TEXT CHECK (json_valid(jwks)),
    jwks_uri          TEXT CHECK (jwks_uri IS NULL OR jwks IS NULL),
    metadata          TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
    registration_hash BLOB CHECK (length(registration_hash) = 32),
    blocked_at        INTEGER
) STRICT;

INSERT INTO client_anew
    (client_id, id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes, may_refresh,
     application_type, created_at, last_used_at, expires_at)
SELECT client_id, id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes, may_refresh,
       application_type, created_at, last_used_at, expires_at
FROM client;

DROP TABLE client;
ALTER TABLE client_anew RENAME TO client;

CREATE INDEX client_tenant ON client (tenant, client_id) WHERE tenant IS NOT NULL;
CREATE INDEX client_expiry ON client (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX client_origin ON client (origin, expires_at);
CREATE INDEX client_unused ON client (created_at) WHERE origin = 'dynamic' AND last_used_at IS NULL;

-- Clients of any kind that a tenant has blocked for itself.
CREATE TABLE client_block (
    tenant     BLOB NOT NULL REFERENCES tenant ON DELETE CASCADE,
    client_id  TEXT NOT NULL,
    blocked_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, client_id)
) STRICT, WITHOUT ROWID;

-- Which clients that nobody entered a tenant lets in; a tenant without a row has the defaults.
CREATE TABLE client_policy (
    tenant     BLOB NOT NULL PRIMARY KEY REFERENCES tenant ON DELETE CASCADE,
    dcr        TEXT NOT NULL CHECK (dcr IN ('off', 'allowlist', 'open')),
    dcr_allow  TEXT NOT NULL CHECK (json_valid(dcr_allow)),
    cimd       TEXT NOT NULL CHECK (cimd IN ('off', 'allowlist', 'open')),
    cimd_allow TEXT NOT NULL CHECK (json_valid(cimd_allow))
) STRICT, WITHOUT ROWID;

CREATE INDEX grant_tenant_client ON "grant" (tenant, client_id);
CREATE INDEX grant_client ON "grant" (client_id);
