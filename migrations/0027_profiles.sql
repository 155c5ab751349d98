-- Profiles of the deployment: the formats of its APIs, as TOML. Shipped profiles are not stored.
CREATE TABLE profiles (
    name TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Properties of a project's new keys: their prefix, the environments that they can be for (all, if empty), and their default
-- lifetime in seconds.
ALTER TABLE projects ADD COLUMN key_prefix TEXT;
ALTER TABLE projects ADD COLUMN key_environments TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN key_seconds BIGINT;
