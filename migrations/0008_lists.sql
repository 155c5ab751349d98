-- Lists of everybody's things, newest first, page by page.
CREATE INDEX api_keys_created ON api_keys (created_at, id);
CREATE INDEX projects_created ON projects (created_at, id);
CREATE INDEX clients_created ON clients (created_at, id);
CREATE INDEX users_created ON users (created_at, id);
