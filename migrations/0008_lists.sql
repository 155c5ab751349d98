-- Lists of everybody's things, newest first, page by page.
CREATE INDEX api_keys_created ON api_keys (created_at, id);
CREATE INDEX projects_created ON projects (created_at, id);
CREATE INDEX clients_created ON clients (created_at, id);
CREATE INDEX users_created ON users (created_at, id);

-- Keys of one owner: those imported together were made at one moment, so the id is a part of their order.
DROP INDEX api_keys_user;
CREATE INDEX api_keys_user ON api_keys (user_id, created_at, id);
CREATE INDEX api_keys_live ON api_keys (user_id, created_at, id) WHERE revoked_at IS NULL;
DROP INDEX api_keys_project;
CREATE INDEX api_keys_project ON api_keys (project_id, created_at, id) WHERE project_id IS NOT NULL;
-- A user makes so many keys a day, but for imported ones; those that ended long ago are deleted.
CREATE INDEX api_keys_made ON api_keys (user_id, created_at) WHERE form <> 'imported';
CREATE INDEX api_keys_revoked ON api_keys (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_expires ON api_keys (expires_at) WHERE expires_at IS NOT NULL;
-- Refusals of credentials that somebody owns, and of nobody's: each kind has its own bound.
CREATE INDEX denials_owned ON denials (at, id) WHERE user_id IS NOT NULL;
CREATE INDEX denials_nobodys ON denials (at, id) WHERE user_id IS NULL;
