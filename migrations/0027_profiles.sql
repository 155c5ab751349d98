-- Profiles of the deployment: how an API speaks, as text. Those that come with grantd are not stored.
CREATE TABLE profiles (
    name TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- What new keys of a project are like: how they start, the environments that they can be for (all, if empty), and their
-- default lifetime.
ALTER TABLE projects ADD COLUMN key_prefix TEXT;
ALTER TABLE projects ADD COLUMN key_environments TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN key_seconds BIGINT;
