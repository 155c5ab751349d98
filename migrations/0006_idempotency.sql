-- Answers of the management API, kept for a caller that asks again with the same Idempotency-Key. Sealed: an answer may
-- hold a key that is shown once.
CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    name TEXT NOT NULL,
    request TEXT NOT NULL,
    status BIGINT,
    sealed TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (actor, name)
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);
