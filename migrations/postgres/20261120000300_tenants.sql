CREATE TABLE tenant (
    id         UUID NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
    created_at BIGINT NOT NULL
);

-- Every slug that was ever given. A tombstone belongs to nobody and stays.
CREATE TABLE tenant_slug (
    slug   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant UUID REFERENCES tenant,
    state  TEXT NOT NULL CHECK (state IN ('current', 'alias', 'tombstone')),
    CHECK ((state = 'tombstone') = (tenant IS NULL))
);

CREATE INDEX tenant_slug_tenant ON tenant_slug (tenant, state);
CREATE UNIQUE INDEX tenant_slug_current ON tenant_slug (tenant) WHERE state = 'current';

CREATE TABLE member (
    tenant UUID NOT NULL REFERENCES tenant ON DELETE CASCADE,
    "user" UUID NOT NULL REFERENCES "user" ON DELETE CASCADE,
    role   TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'member', 'viewer')),
    PRIMARY KEY (tenant, "user")
);

CREATE INDEX member_user ON member ("user");
