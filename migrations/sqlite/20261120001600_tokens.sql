-- The kinds of changes are the program's words, which refuses those that it does not know; a list here would have
-- to be made anew for each of them. The table's numbers go on where they were, even if its rows are gone.
CREATE TABLE change_anew (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,
    tenant   BLOB,
    subject  BLOB NOT NULL CHECK (length(subject) = 16)
) STRICT;

INSERT INTO change_anew (sequence, kind, tenant, subject) SELECT sequence, kind, tenant, subject FROM change;

DELETE FROM sqlite_sequence WHERE name = 'change_anew';
INSERT INTO sqlite_sequence (name, seq) SELECT 'change_anew', seq FROM sqlite_sequence WHERE name = 'change';

DROP TABLE change;
ALTER TABLE change_anew RENAME TO change;

-- Access tokens carry the version of their grant, and older versions are refused. `raised_at`: since when.
ALTER TABLE "grant" ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "grant" ADD COLUMN raised_at INTEGER;

CREATE INDEX grant_raised ON "grant" (raised_at) WHERE raised_at IS NOT NULL;
CREATE INDEX grant_method ON "grant" (method) WHERE method <> 'local';

-- `token` is the id of the access token that was issued together with it, `used_at` when that was first seen in
-- front of a server. `superseded_at`: taken for lost, and replaced by another child of its parent.
ALTER TABLE refresh ADD COLUMN token BLOB CHECK (length(token) = 16);
ALTER TABLE refresh ADD COLUMN used_at INTEGER;
ALTER TABLE refresh ADD COLUMN superseded_at INTEGER;

CREATE UNIQUE INDEX refresh_token ON refresh (token) WHERE token IS NOT NULL;

-- Single access tokens that were revoked before their time.
CREATE TABLE revoked_token (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_token_expiry ON revoked_token (expires_at);

-- Since when a key is in its state, and until when a retiring one is published.
ALTER TABLE signing_key ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE signing_key ADD COLUMN ends_at INTEGER;
UPDATE signing_key SET changed_at = created_at;

-- How a resource server proves itself when it asks about tokens; `secret_hash` is SHA-256 of 256 random bits.
CREATE TABLE resource_credential (
    id          BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant      BLOB NOT NULL,
    server      BLOB NOT NULL,
    name        TEXT NOT NULL,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    created_at  INTEGER NOT NULL,
    UNIQUE (tenant, server, name),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What a tenant sets about its tokens; in milliseconds. Nothing there: as the installation has it.
CREATE TABLE token_policy (
    tenant        BLOB NOT NULL PRIMARY KEY REFERENCES tenant ON DELETE CASCADE,
    access        INTEGER,
    refresh_grace INTEGER
) STRICT, WITHOUT ROWID;
