-- From version 1 to 2: the time at which a key was last used, limits, attempts, conversations, webhooks.
ALTER TABLE api_keys ADD COLUMN used_at TEXT;
ALTER TABLE accounts ADD COLUMN quota INTEGER;
ALTER TABLE accounts ADD COLUMN rate_limit INTEGER;
ALTER TABLE messages ADD COLUMN request_id TEXT;
DROP TRIGGER count_deleted_message;

CREATE TABLE conversations (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    phone      TEXT NOT NULL,
    last_seq   INTEGER NOT NULL,
    read_seq   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, phone)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_deliveries (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    message_id  TEXT,
    event       TEXT NOT NULL,
    payload     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    created_at  TEXT NOT NULL,
    due_at      TEXT,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retries     INTEGER NOT NULL DEFAULT 0,
    finished_at TEXT,
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT;
