-- What the refused request was, so that its owner can see what to change: method, path without its query, the scopes it
-- needed and those it carried, and the kind of reason.
ALTER TABLE denials ADD COLUMN kind TEXT;
ALTER TABLE denials ADD COLUMN method TEXT;
ALTER TABLE denials ADD COLUMN path TEXT;
ALTER TABLE denials ADD COLUMN needs TEXT;
ALTER TABLE denials ADD COLUMN holds TEXT;
