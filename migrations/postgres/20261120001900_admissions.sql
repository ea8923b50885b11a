-- More kinds of providers, connections that are switched off, and whether a file declared them, as it did all
-- until now.
ALTER TABLE connection DROP CONSTRAINT connection_kind_check;
ALTER TABLE connection
    ADD CONSTRAINT connection_kind_check CHECK (kind IN ('github', 'google', 'entra', 'oidc', 'oauth'));
ALTER TABLE connection ADD COLUMN enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE connection ADD COLUMN declared BOOLEAN NOT NULL DEFAULT TRUE;

-- Sessions of another epoch than their person's are over.
ALTER TABLE "user" ADD COLUMN session_epoch BIGINT NOT NULL DEFAULT 0;

-- Who becomes a member of a tenant by signing in through a connection.
CREATE TABLE access_rule (
    id         UUID NOT NULL PRIMARY KEY,
    tenant     UUID NOT NULL REFERENCES tenant ON DELETE CASCADE,
    connection UUID NOT NULL REFERENCES connection ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('domain', 'organisation', 'team', 'group')),
    value      TEXT COLLATE "C" NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('admin', 'developer', 'member', 'viewer')),
    created_at BIGINT NOT NULL,
    declared   BOOLEAN NOT NULL,
    UNIQUE (tenant, connection, kind, value)
);

CREATE INDEX access_rule_connection ON access_rule (connection);

-- Memberships that rest on a rule and end with it. No cascade from the rule: without its row here a
-- membership would look as if somebody had given it by hand.
CREATE TABLE admission (
    tenant UUID NOT NULL,
    "user" UUID NOT NULL,
    rule   UUID NOT NULL REFERENCES access_rule,
    PRIMARY KEY (tenant, "user"),
    FOREIGN KEY (tenant, "user") REFERENCES member (tenant, "user") ON DELETE CASCADE
);

CREATE INDEX admission_rule ON admission (rule);
CREATE INDEX admission_user ON admission ("user");

-- `hash` is SHA-256 of the link's token. Gone once accepted or withdrawn.
CREATE TABLE invitation (
    id         UUID NOT NULL PRIMARY KEY,
    tenant     UUID NOT NULL REFERENCES tenant ON DELETE CASCADE,
    hash       BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    role       TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'member', 'viewer')),
    email      TEXT,
    created_by UUID NOT NULL REFERENCES "user" ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX invitation_tenant ON invitation (tenant, id);
CREATE INDEX invitation_creator ON invitation (created_by);
CREATE INDEX invitation_expiry ON invitation (expires_at);
