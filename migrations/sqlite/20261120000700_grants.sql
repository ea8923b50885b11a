-- No foreign keys to user, tenant and server: a revoked grant outlives them for as long as a token of it could.
CREATE TABLE "grant" (
    id           BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant       BLOB NOT NULL,
    "user"       BLOB NOT NULL,
    server       BLOB NOT NULL,
    method       TEXT NOT NULL,
    client_id    TEXT NOT NULL,
    client_name  TEXT,
    resource     TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'active', 'revoked')),
    revoked_at   INTEGER,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER NOT NULL,
    CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
) STRICT;

CREATE INDEX grant_tenant_user ON "grant" (tenant, "user");
CREATE INDEX grant_tenant_server ON "grant" (tenant, server);
CREATE INDEX grant_user ON "grant" ("user", state);
CREATE INDEX grant_revocation ON "grant" (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX grant_expiry ON "grant" (expires_at);
CREATE INDEX grant_pending ON "grant" (created_at) WHERE state = 'pending';

CREATE TABLE code (
    hash              BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    "grant"           BLOB NOT NULL REFERENCES "grant" ON DELETE CASCADE,
    redirect_uri      TEXT NOT NULL,
    redirect_uri_sent INTEGER NOT NULL CHECK (redirect_uri_sent IN (0, 1)),
    challenge         TEXT NOT NULL,
    expires_at        INTEGER NOT NULL,
    used_at           INTEGER,
    failures          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX code_grant ON code ("grant");
CREATE INDEX code_expiry ON code (expires_at);

CREATE TABLE refresh (
    hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    "grant"    BLOB NOT NULL REFERENCES "grant" ON DELETE CASCADE,
    parent     BLOB CHECK (length(parent) = 32),
    generation INTEGER NOT NULL,
    scopes     TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    rotated_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_grant ON refresh ("grant");
CREATE INDEX refresh_parent ON refresh (parent) WHERE parent IS NOT NULL;
CREATE INDEX refresh_expiry ON refresh (expires_at);
