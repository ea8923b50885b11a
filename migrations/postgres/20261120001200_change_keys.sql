-- The feed also speaks of data keys.
ALTER TABLE change DROP CONSTRAINT change_kind_check;
ALTER TABLE change ADD CONSTRAINT change_kind_check
    CHECK (kind IN ('tenant', 'user', 'connection', 'grant', 'signing-keys', 'data-keys'));
