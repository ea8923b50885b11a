-- Owners whose data keys are to be destroyed. Written in the transaction that deletes the owner and removed
-- when the keys are gone, because those are in another database.
CREATE TABLE shredding (
    owner TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
