-- Plans: requests an hour (none means unlimited) and the most requests within one second.
CREATE TABLE plans (
    name TEXT PRIMARY KEY,
    per_hour BIGINT,
    burst BIGINT NOT NULL
);
INSERT INTO plans (name, per_hour, burst) VALUES ('free', 1000, 50);
INSERT INTO plans (name, per_hour, burst) VALUES ('pro', 10000, 200);
INSERT INTO plans (name, per_hour, burst) VALUES ('enterprise', NULL, 1000);

-- Whether an introspection is itself the call that a plan counts, or only asks how much is left.
ALTER TABLE apis ADD COLUMN counts_introspection BOOLEAN NOT NULL DEFAULT FALSE;
