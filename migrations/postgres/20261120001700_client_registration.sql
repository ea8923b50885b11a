-- Clients get keys, the token that manages a registration, what they said about themselves, and a block.
-- `registration_hash` is SHA-256 of 256 random bits, and the words of `metadata` are the client's own.
ALTER TABLE client DROP CONSTRAINT client_auth_method_check;
ALTER TABLE client ADD CONSTRAINT client_auth_method_check
    CHECK (auth_method IN ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'));
ALTER TABLE client
    ADD COLUMN jwks              TEXT CHECK (jwks IS NULL OR jwks::json IS NOT NULL),
    ADD COLUMN jwks_uri          TEXT CHECK (jwks_uri IS NULL OR jwks IS NULL),
    ADD COLUMN metadata          TEXT NOT NULL DEFAULT '{}' CHECK (metadata::json IS NOT NULL),
    ADD COLUMN registration_hash BYTEA CHECK (length(registration_hash) = 32),
    ADD COLUMN blocked_at        BIGINT;

DROP INDEX client_tenant;
CREATE INDEX client_tenant ON client (tenant, client_id) WHERE tenant IS NOT NULL;
CREATE INDEX client_unused ON client (created_at) WHERE origin = 'dynamic' AND last_used_at IS NULL;

-- Clients of any kind that a tenant has blocked for itself.
CREATE TABLE client_block (
    tenant     UUID NOT NULL REFERENCES tenant ON DELETE CASCADE,
    client_id  TEXT COLLATE "C" NOT NULL,
    blocked_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, client_id)
);

-- Which clients that nobody entered a tenant lets in; a tenant without a row has the defaults.
CREATE TABLE client_policy (
    tenant     UUID NOT NULL PRIMARY KEY REFERENCES tenant ON DELETE CASCADE,
    dcr        TEXT NOT NULL CHECK (dcr IN ('off', 'allowlist', 'open')),
    dcr_allow  TEXT NOT NULL CHECK (dcr_allow::json IS NOT NULL),
    cimd       TEXT NOT NULL CHECK (cimd IN ('off', 'allowlist', 'open')),
    cimd_allow TEXT NOT NULL CHECK (cimd_allow::json IS NOT NULL)
);

CREATE INDEX grant_tenant_client ON "grant" (tenant, client_id);
CREATE INDEX grant_client ON "grant" (client_id);
