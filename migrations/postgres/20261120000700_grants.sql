-- No foreign keys to user, tenant and server: a revoked grant outlives them for as long as a token of it could.
CREATE TABLE "grant" (
    id           UUID NOT NULL PRIMARY KEY,
    tenant       UUID NOT NULL,
    "user"       UUID NOT NULL,
    server       UUID NOT NULL,
    method       TEXT COLLATE "C" NOT NULL,
    client_id    TEXT COLLATE "C" NOT NULL,
    client_name  TEXT,
    resource     TEXT COLLATE "C" NOT NULL,
    scopes       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'active', 'revoked')),
    revoked_at   BIGINT,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT NOT NULL,
    CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
);

CREATE INDEX grant_tenant_user ON "grant" (tenant, "user");
CREATE INDEX grant_tenant_server ON "grant" (tenant, server);
CREATE INDEX grant_user ON "grant" ("user", state);
CREATE INDEX grant_revocation ON "grant" (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX grant_expiry ON "grant" (expires_at);
CREATE INDEX grant_pending ON "grant" (created_at) WHERE state = 'pending';

CREATE TABLE code (
    hash              BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    "grant"           UUID NOT NULL REFERENCES "grant" ON DELETE CASCADE,
    redirect_uri      TEXT NOT NULL,
    redirect_uri_sent BOOLEAN NOT NULL,
    challenge         TEXT NOT NULL,
    expires_at        BIGINT NOT NULL,
    used_at           BIGINT,
    failures          BIGINT NOT NULL
);

CREATE INDEX code_grant ON code ("grant");
CREATE INDEX code_expiry ON code (expires_at);

CREATE TABLE refresh (
    hash       BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    "grant"    UUID NOT NULL REFERENCES "grant" ON DELETE CASCADE,
    parent     BYTEA CHECK (length(parent) = 32),
    generation BIGINT NOT NULL,
    scopes     TEXT NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    rotated_at BIGINT
);

CREATE INDEX refresh_grant ON refresh ("grant");
CREATE INDEX refresh_parent ON refresh (parent) WHERE parent IS NOT NULL;
CREATE INDEX refresh_expiry ON refresh (expires_at);
