-- The page of ours that a browser asked for before anybody was signed in, to lead back to it. One for each browser.
CREATE TABLE returns (
    browser TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    why TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX returns_expires ON returns (expires_at);
