-- Which master key wraps a data key (none is named for those from before there were several), and when the
-- data key begins to seal. Both are bound into the wrapping.
ALTER TABLE portico_keys.data_key ADD COLUMN master TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE portico_keys.data_key ADD COLUMN active_from BIGINT NOT NULL DEFAULT 0;
