-- Who disabled a project is the one place that says whether it is disabled: `owner` or `administrator`. What an
-- administrator has disabled is not for the owner to enable. When it happened is in the audit log.
ALTER TABLE projects ADD COLUMN disabled_by TEXT;
UPDATE projects SET disabled_by = 'owner' WHERE disabled_at IS NOT NULL;
UPDATE projects SET disabled_by = 'administrator' WHERE barred_at IS NOT NULL;
ALTER TABLE projects DROP COLUMN disabled_at;
ALTER TABLE projects DROP COLUMN barred_at;
