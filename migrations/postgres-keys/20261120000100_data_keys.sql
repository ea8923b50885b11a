-- Data keys, wrapped by the master key. In a schema of their own, or in another database, so that a dump of the
-- data need not hold them.
CREATE TABLE portico_keys.data_key (
    owner   TEXT COLLATE "C" NOT NULL,
    id      BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    PRIMARY KEY (owner, id)
);
