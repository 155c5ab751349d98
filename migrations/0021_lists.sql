-- Lists by what entries concern, each in the order in which it is read. What is asked for as well filters what is walked.
CREATE INDEX audit_client ON audit (client_id, at, id) WHERE client_id IS NOT NULL;
CREATE INDEX audit_object ON audit (object, at, id) WHERE object IS NOT NULL;
DROP INDEX audit_user;
CREATE INDEX audit_user ON audit (user_id, at, id);
DROP INDEX audit_at;
CREATE INDEX audit_at ON audit (at, id);
DROP INDEX denials_user;
CREATE INDEX denials_user ON denials (user_id, at, id);
CREATE INDEX denials_key ON denials (key_id, at, id) WHERE key_id IS NOT NULL;
DROP INDEX denials_at;
CREATE INDEX denials_at ON denials (at, id);
-- Apps of one user, and the projects of one, newest first.
DROP INDEX clients_owner;
CREATE INDEX clients_owner ON clients (owner_id, created_at, id);
CREATE INDEX projects_user ON projects (user_id, created_at, id);
