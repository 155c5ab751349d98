-- Live grants are looked up by user and client; revoked grants are deleted by age.

DROP INDEX grants_user_client;
CREATE INDEX grants_live ON grants (user_id, client_id) WHERE revoked_at IS NULL;
CREATE INDEX grants_revoked ON grants (revoked_at) WHERE revoked_at IS NOT NULL;
