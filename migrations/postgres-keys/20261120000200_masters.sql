-- Which master key wraps a data key (none is named for those from before there were several), and when the
-- data key begins to seal. Both are bound into the wrapping.
ALTER TABLE data_key ADD COLUMN master TEXT NOT NULL DEFAULT '';
ALTER TABLE data_key ADD COLUMN active_from BIGINT NOT NULL DEFAULT 0;
