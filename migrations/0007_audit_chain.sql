-- Each entry's place in the log and a seal over it and everything before it: what is changed or missing shows. Given by one
-- node after the other, some seconds after the entry was written.
ALTER TABLE audit ADD COLUMN seq BIGINT;
ALTER TABLE audit ADD COLUMN seal TEXT;
CREATE UNIQUE INDEX audit_seq ON audit (seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_unsealed ON audit (at, id) WHERE seq IS NULL;
