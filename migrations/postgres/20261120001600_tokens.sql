-- The kinds of changes are the program's words, which refuses those that it does not know; a list here would have
-- to be made anew for each of them.
ALTER TABLE change DROP CONSTRAINT change_kind_check;

-- Access tokens carry the version of their grant, and older versions are refused. `raised_at`: since when.
ALTER TABLE "grant" ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE "grant" ADD COLUMN raised_at BIGINT;

CREATE INDEX grant_raised ON "grant" (raised_at) WHERE raised_at IS NOT NULL;
CREATE INDEX grant_method ON "grant" (method) WHERE method <> 'local';

-- `token` is the id of the access token that was issued together with it, `used_at` when that was first seen in
-- front of a server. `superseded_at`: taken for lost, and replaced by another child of its parent.
ALTER TABLE refresh ADD COLUMN token UUID;
ALTER TABLE refresh ADD COLUMN used_at BIGINT;
ALTER TABLE refresh ADD COLUMN superseded_at BIGINT;

CREATE UNIQUE INDEX refresh_token ON refresh (token) WHERE token IS NOT NULL;

-- Single access tokens that were revoked before their time.
CREATE TABLE revoked_token (
    id         UUID NOT NULL PRIMARY KEY,
    tenant     UUID NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX revoked_token_expiry ON revoked_token (expires_at);

-- Since when a key is in its state, and until when a retiring one is published.
ALTER TABLE signing_key ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE signing_key ADD COLUMN ends_at BIGINT;
UPDATE signing_key SET changed_at = created_at;

-- How a resource server proves itself when it asks about tokens; `secret_hash` is SHA-256 of 256 random bits.
CREATE TABLE resource_credential (
    id          UUID NOT NULL PRIMARY KEY,
    tenant      UUID NOT NULL,
    server      UUID NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    secret_hash BYTEA NOT NULL CHECK (length(secret_hash) = 32),
    created_at  BIGINT NOT NULL,
    UNIQUE (tenant, server, name),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) ON DELETE CASCADE
);

-- What a tenant sets about its tokens; in milliseconds. Nothing there: as the installation has it.
CREATE TABLE token_policy (
    tenant        UUID NOT NULL PRIMARY KEY REFERENCES tenant ON DELETE CASCADE,
    access        BIGINT,
    refresh_grace BIGINT
);
