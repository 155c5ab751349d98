-- A key with scopes of the management API is refused by other APIs. Keys from before that have scopes of both stay accepted
-- by both.
ALTER TABLE api_keys ADD COLUMN is_for_both BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE api_keys SET is_for_both = TRUE WHERE scopes LIKE '%grantd:%';
