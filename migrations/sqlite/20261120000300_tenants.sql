CREATE TABLE tenant (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every slug that was ever given. A tombstone belongs to nobody and stays.
CREATE TABLE tenant_slug (
    slug   TEXT NOT NULL PRIMARY KEY,
    tenant BLOB REFERENCES tenant,
    state  TEXT NOT NULL CHECK (state IN ('current', 'alias', 'tombstone')),
    CHECK ((state = 'tombstone') = (tenant IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX tenant_slug_tenant ON tenant_slug (tenant, state);
CREATE UNIQUE INDEX tenant_slug_current ON tenant_slug (tenant) WHERE state = 'current';

CREATE TABLE member (
    tenant BLOB NOT NULL REFERENCES tenant ON DELETE CASCADE,
    "user" BLOB NOT NULL REFERENCES "user" ON DELETE CASCADE,
    role   TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'member', 'viewer')),
    PRIMARY KEY (tenant, "user")
) STRICT, WITHOUT ROWID;

CREATE INDEX member_user ON member ("user");
