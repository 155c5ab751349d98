-- Requests by key and hour (milliseconds since the epoch, at the hour's start); days are sums of hours.
CREATE TABLE key_usage (
    key_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    allowed BIGINT NOT NULL,
    denied BIGINT NOT NULL,
    limited BIGINT NOT NULL,
    PRIMARY KEY (key_id, hour)
);
CREATE INDEX key_usage_hour ON key_usage (hour);

-- Places a key was used from: a /24 of IPv4, a /48 of IPv6.
CREATE TABLE key_networks (
    key_id TEXT NOT NULL,
    network TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (key_id, network)
);

-- Why a request was refused, for the owner of what it carried. A request's id may come from its sender, so it is no key.
CREATE TABLE denials (
    id TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT NOT NULL,
    reason TEXT NOT NULL,
    api TEXT,
    key_id TEXT,
    user_id TEXT,
    client_id TEXT,
    address TEXT NOT NULL
);
CREATE INDEX denials_request ON denials (request_id);
CREATE INDEX denials_at ON denials (at);
CREATE INDEX denials_user ON denials (user_id, at);

-- What concerns one user, newest first.
CREATE INDEX audit_user ON audit (user_id, at);
