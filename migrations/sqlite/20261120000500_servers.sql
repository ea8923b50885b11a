-- The live revision is one of the server's own, and there is one whenever the server is live.
CREATE TABLE server (
    tenant     BLOB NOT NULL REFERENCES tenant ON DELETE CASCADE,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    name       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('draft', 'live', 'disabled')),
    live       BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, id, live) REFERENCES server_revision (tenant, server, id) DEFERRABLE INITIALLY DEFERRED,
    CHECK (state <> 'live' OR live IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE server_revision (
    tenant     BLOB NOT NULL,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    server     BLOB NOT NULL,
    source     TEXT NOT NULL CHECK (json_valid(source)),
    offer      TEXT CHECK (json_valid(offer)),
    created_by BLOB REFERENCES "user" ON DELETE SET NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, server, id),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX server_revision_creator ON server_revision (created_by) WHERE created_by IS NOT NULL;

-- Every slug that was ever given in a tenant. A tombstone belongs to nobody and stays.
CREATE TABLE server_slug (
    tenant BLOB NOT NULL REFERENCES tenant ON DELETE CASCADE,
    slug   TEXT NOT NULL,
    server BLOB,
    state  TEXT NOT NULL CHECK (state IN ('current', 'alias', 'tombstone')),
    PRIMARY KEY (tenant, slug),
    FOREIGN KEY (tenant, server) REFERENCES server (tenant, id) DEFERRABLE INITIALLY DEFERRED,
    CHECK ((state = 'tombstone') = (server IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX server_slug_server ON server_slug (tenant, server, state);
CREATE UNIQUE INDEX server_slug_current ON server_slug (tenant, server) WHERE state = 'current';
