-- The whole database of Phonify: one SQLite file.
--
-- Every time is text in UTC with milliseconds, one fixed width, so that text
-- order is time order: 2026-01-31T09:30:00.000Z.
--
-- This file creates what is missing and never drops anything. It runs at the
-- first start; the version of the layout is kept in PRAGMA user_version (db.py).

-- Who shares this server. One account never sees another's data.
CREATE TABLE IF NOT EXISTS accounts (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    origin     TEXT,                    -- default sender; NULL: the server's
    created_at TEXT NOT NULL
) STRICT;

-- Keys of an account; several, so that one can be rotated. Only the SHA-256
-- of a key is kept: a key is random, so there is nothing for a slow hash to
-- protect, and the look-up costs microseconds.
CREATE TABLE IF NOT EXISTS api_keys (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    key_hash   TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;

-- Every message, sent or received.
--
-- due_at is all that the dispatcher looks at: when to turn to the message
-- next. It is the time of sending at first, the end of the lease while a
-- dispatcher has it in hand, the time of the next attempt after a failure in
-- passing, and NULL once the state is final.
CREATE TABLE IF NOT EXISTS messages (
    seq            INTEGER PRIMARY KEY, -- order of arrival
    id             TEXT NOT NULL UNIQUE,-- the public name: UUIDv7, same order
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    direction      TEXT NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    body           TEXT NOT NULL,
    origin_number  TEXT NOT NULL,       -- who sent it
    origin_country TEXT,
    origin_carrier TEXT,
    to_number      TEXT NOT NULL,       -- who gets it
    to_country     TEXT,
    to_carrier     TEXT,
    state          TEXT NOT NULL CHECK (state IN ('unconfirmed', 'sent', 'error')),
    error_type     TEXT,                -- why, in state 'error' (errors.py)
    created_at     TEXT NOT NULL,
    send_at        TEXT,                -- scheduled for; NULL: at once
    due_at         TEXT,
    expires_at     TEXT,                -- end of the validity period
    attempts       INTEGER NOT NULL DEFAULT 0,
    submitted_at   TEXT,                -- handed to the gateway, no answer recorded yet
    finished_at    TEXT,                -- when the state became final
    CHECK ((state = 'error') = (error_type IS NOT NULL)),
    CHECK ((state = 'unconfirmed') = (finished_at IS NULL)),
    CHECK (due_at IS NULL OR state = 'unconfirmed')
) STRICT;

CREATE INDEX IF NOT EXISTS messages_by_account ON messages (account_id);
CREATE INDEX IF NOT EXISTS messages_by_to ON messages (account_id, to_number);
CREATE INDEX IF NOT EXISTS messages_by_origin ON messages (account_id, origin_number);
CREATE INDEX IF NOT EXISTS messages_unsettled ON messages (account_id, state) WHERE state <> 'sent';
CREATE INDEX IF NOT EXISTS messages_inbound ON messages (account_id, direction) WHERE direction = 'inbound';
CREATE INDEX IF NOT EXISTS messages_due ON messages (due_at) WHERE due_at IS NOT NULL;

-- How many messages an account has in each stretch of 2^bits consecutive seq.
-- A list at offset 900,000 adds up a few of these rows instead of stepping
-- over 900,000 messages.
CREATE TABLE IF NOT EXISTS message_counts (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    bits       INTEGER NOT NULL,        -- 10 (1,024 messages) or 16 (65,536)
    stretch    INTEGER NOT NULL,        -- seq >> bits
    messages   INTEGER NOT NULL,
    PRIMARY KEY (account_id, bits, stretch)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS count_inserted_message AFTER INSERT ON messages BEGIN
    INSERT INTO message_counts VALUES
        (new.account_id, 10, new.seq >> 10, 1), (new.account_id, 16, new.seq >> 16, 1)
    ON CONFLICT DO UPDATE SET messages = messages + 1;
END;

CREATE TRIGGER IF NOT EXISTS count_deleted_message AFTER DELETE ON messages BEGIN
    UPDATE message_counts SET messages = messages - 1
    WHERE account_id = old.account_id
      AND ((bits = 10 AND stretch = old.seq >> 10) OR (bits = 16 AND stretch = old.seq >> 16));
END;

-- The first answer to each Idempotency-Key, given again for 24 hours.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    key          TEXT NOT NULL,
    request_hash TEXT NOT NULL,         -- SHA-256 of the arguments
    status       INTEGER NOT NULL,      -- of the first answer
    answer       TEXT NOT NULL,         -- its JSON
    created_at   TEXT NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created_at);
