-- The format that a value was written in: values from before all were of the first.
ALTER TABLE key_value ADD COLUMN format INTEGER NOT NULL DEFAULT 1 CHECK (format BETWEEN 0 AND 255);
