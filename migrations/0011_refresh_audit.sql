-- What the audit log was told of a grant's refreshes: it gets one entry an hour. Hours since the epoch; the generation up to
-- which refreshes were told.
ALTER TABLE grants ADD COLUMN refresh_told_hour BIGINT;
ALTER TABLE grants ADD COLUMN refresh_told BIGINT NOT NULL DEFAULT 1;
ALTER TABLE grants ADD COLUMN replay_told_hour BIGINT;
-- Each was told in an entry of its own until now.
UPDATE grants SET refresh_told = generation WHERE generation > 1;
