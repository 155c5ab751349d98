-- What the user saw on the consent page: the app's name, and the hosts it was said to return to, one a line. Of consents
-- given before it is not known, so they are asked for once more.
ALTER TABLE consents ADD COLUMN client_name TEXT NOT NULL DEFAULT '';
ALTER TABLE consents ADD COLUMN hosts TEXT NOT NULL DEFAULT '';
