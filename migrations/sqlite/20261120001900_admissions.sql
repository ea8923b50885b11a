-- More kinds of providers, connections that are switched off, and whether a file declared them, as it did all
-- until now. A check cannot be altered, so the table is
-- made anew; identities go with a table that is dropped, so they are made anew first.
CREATE TABLE connection_anew (
    id            BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant        BLOB REFERENCES tenant ON DELETE CASCADE,
    slug          TEXT NOT NULL,
    callback      TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL CHECK (kind IN ('github', 'google', 'entra', 'oidc', 'oauth')),
    name          TEXT NOT NULL,
    client_id     TEXT NOT NULL,
    client_secret BLOB NOT NULL,
    endpoints     TEXT NOT NULL CHECK (json_valid(endpoints)),
    created_at    INTEGER NOT NULL,
    enabled       INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    declared      INTEGER NOT NULL DEFAULT 1 CHECK (declared IN (0, 1))
) STRICT, WITHOUT ROWID;

INSERT INTO connection_anew (id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at)
SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at FROM connection;

CREATE TABLE identity_anew (
    connection     BLOB NOT NULL REFERENCES connection_anew ON DELETE CASCADE,
    subject        TEXT NOT NULL,
    "user"         BLOB NOT NULL REFERENCES "user" ON DELETE CASCADE,
    email          TEXT,
    email_verified INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    PRIMARY KEY (connection, subject)
) STRICT, WITHOUT ROWID;

INSERT INTO identity_anew (connection, subject, "user", email, email_verified)
SELECT connection, subject, "user", email, email_verified FROM identity;

DROP TABLE identity;
DROP TABLE connection;
ALTER TABLE connection_anew RENAME TO connection;
ALTER TABLE identity_anew RENAME TO identity;

CREATE UNIQUE INDEX connection_slug ON connection (ifnull(tenant, x''), slug);
CREATE INDEX identity_user ON identity ("user");

-- Sessions of another epoch than their person's are over.
ALTER TABLE "user" ADD COLUMN session_epoch INTEGER NOT NULL DEFAULT 0;

-- Who becomes a member of a tenant by signing in through a connection.
CREATE TABLE access_rule (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB NOT NULL REFERENCES tenant ON DELETE CASCADE,
    connection BLOB NOT NULL REFERENCES connection ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('domain', 'organisation', 'team', 'group')),
    value      TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('admin', 'developer', 'member', 'viewer')),
    created_at INTEGER NOT NULL,
    declared   INTEGER NOT NULL CHECK (declared IN (0, 1)),
    UNIQUE (tenant, connection, kind, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX access_rule_connection ON access_rule (connection);

-- Memberships that rest on a rule and end with it. No cascade from the rule: without its row here a
-- membership would look as if somebody had given it by hand.
CREATE TABLE admission (
    tenant BLOB NOT NULL,
    "user" BLOB NOT NULL,
    rule   BLOB NOT NULL REFERENCES access_rule,
    PRIMARY KEY (tenant, "user"),
    FOREIGN KEY (tenant, "user") REFERENCES member ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX admission_rule ON admission (rule);
CREATE INDEX admission_user ON admission ("user");

-- `hash` is SHA-256 of the link's token. Gone once accepted or withdrawn.
CREATE TABLE invitation (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB NOT NULL REFERENCES tenant ON DELETE CASCADE,
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    role       TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'member', 'viewer')),
    email      TEXT,
    created_by BLOB NOT NULL REFERENCES "user" ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX invitation_tenant ON invitation (tenant, id);
CREATE INDEX invitation_creator ON invitation (created_by);
CREATE INDEX invitation_expiry ON invitation (expires_at);
