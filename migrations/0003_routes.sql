-- Which requests to an API need which scopes; the first that matches decides.
CREATE TABLE routes (
    id TEXT PRIMARY KEY,
    api_id TEXT NOT NULL REFERENCES apis (id),
    position BIGINT NOT NULL,
    method TEXT NOT NULL,
    pattern TEXT NOT NULL,
    scopes TEXT NOT NULL,
    public BOOLEAN NOT NULL
);
CREATE INDEX routes_api ON routes (api_id, position);
