-- The oldest live grants of a user and client are found without reading the others.

DROP INDEX grants_live;
CREATE INDEX grants_live ON grants (user_id, client_id, created_at) WHERE revoked_at IS NULL;
