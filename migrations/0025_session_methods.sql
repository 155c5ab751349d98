-- How the user of a session signed in: space-delimited values of `amr` (RFC 8176). So far everybody had a password.
ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT 'pwd';
