CREATE TABLE server (
    tenant     UUID NOT NULL REFERENCES tenant ON DELETE CASCADE,
    id         UUID NOT NULL,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('draft', 'live', 'disabled')),
    live       UUID,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    CHECK (state <> 'live' OR live IS NOT NULL)
);

CREATE TABLE server_revision (
    tenant     UUID NOT NULL,
    id         UUID NOT NULL,
    server     UUID NOT NULL,
    source     TEXT NOT NULL CHECK (source::json IS NOT NULL),
    offer      TEXT CHECK (offer IS NULL OR offer::json IS NOT NULL),
    created_by UUID REFERENCES "user" ON DELETE SET NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, server, id),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) ON DELETE CASCADE
);

CREATE INDEX server_revision_creator ON server_revision (created_by) WHERE created_by IS NOT NULL;

-- The live revision is one of the server's own, and there is one whenever the server is live.
ALTER TABLE server ADD FOREIGN KEY (tenant, id, live) REFERENCES server_revision (tenant, server, id)
    DEFERRABLE INITIALLY DEFERRED;

-- Every slug that was ever given in a tenant. A tombstone belongs to nobody and stays.
CREATE TABLE server_slug (
    tenant UUID NOT NULL REFERENCES tenant ON DELETE CASCADE,
    slug   TEXT COLLATE "C" NOT NULL,
    server UUID,
    state  TEXT NOT NULL CHECK (state IN ('current', 'alias', 'tombstone')),
    PRIMARY KEY (tenant, slug),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) DEFERRABLE INITIALLY DEFERRED,
    CHECK ((state = 'tombstone') = (server IS NULL))
);

CREATE INDEX server_slug_server ON server_slug (tenant, server, state);
CREATE UNIQUE INDEX server_slug_current ON server_slug (tenant, server) WHERE state = 'current';
