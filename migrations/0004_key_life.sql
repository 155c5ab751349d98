-- A project is a named container of one user's keys, with the policy by which they are made.
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    key_form TEXT NOT NULL,
    one_live_key BOOLEAN NOT NULL,
    plan TEXT REFERENCES plans (name),
    disabled_at BIGINT,
    -- Disabled by an administrator: not for the owner to undo.
    barred_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);

ALTER TABLE api_keys ADD COLUMN project_id TEXT REFERENCES projects (id);
-- prefixed: of our own form. uuid, imported: of a form that any text may have.
ALTER TABLE api_keys ADD COLUMN form TEXT NOT NULL DEFAULT 'prefixed';
ALTER TABLE api_keys ADD COLUMN plan TEXT REFERENCES plans (name);
-- Who is counted by the plan of its own: the first of the keys that took each other's place.
ALTER TABLE api_keys ADD COLUMN metered_as TEXT;
-- Networks from which the key may be used, space-delimited CIDR; empty means any.
ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '';
-- The key that took this one's place: a second rotation ends the first overlap.
ALTER TABLE api_keys ADD COLUMN replaced_by TEXT;
ALTER TABLE api_keys ADD COLUMN last_address TEXT;
ALTER TABLE api_keys ADD COLUMN last_agent TEXT;
CREATE INDEX api_keys_project ON api_keys (project_id, created_at) WHERE project_id IS NOT NULL;
CREATE INDEX api_keys_replaced ON api_keys (replaced_by) WHERE replaced_by IS NOT NULL;
