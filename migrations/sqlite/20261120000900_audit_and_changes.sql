-- No foreign keys: the log outlives what it speaks of. `tenant` is null for what is of the platform.
CREATE TABLE audit (
    id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant  BLOB,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL CHECK (json_valid(details))
) STRICT;

CREATE INDEX audit_tenant ON audit (tenant, id);

-- One writer at a time, so numbers are given in commit order; AUTOINCREMENT, so none is given twice.
CREATE TABLE change (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL CHECK (kind IN ('tenant', 'user', 'connection', 'grant', 'signing-keys')),
    tenant   BLOB,
    subject  BLOB NOT NULL CHECK (length(subject) = 16)
) STRICT;
