-- From version 4 to 5: webhooks that are disabled, deliveries of other kinds, messages of fronts, and keys of messages.

-- A file of version 1 does not have this table yet.
CREATE TABLE IF NOT EXISTS webhooks (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    url        TEXT NOT NULL,
    secret     TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

ALTER TABLE webhooks ADD COLUMN disabled_at TEXT;
ALTER TABLE webhook_deliveries ADD COLUMN kind TEXT NOT NULL DEFAULT 'standard';
ALTER TABLE webhook_deliveries ADD COLUMN url TEXT;
ALTER TABLE webhook_deliveries ADD COLUMN sequence TEXT;
ALTER TABLE messages ADD COLUMN front TEXT;
ALTER TABLE messages ADD COLUMN key_id INTEGER;
