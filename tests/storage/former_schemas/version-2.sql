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
    created_at TEXT NOT NULL,
    quota      INTEGER,                 -- messages a day (UTC); NULL: any number
    rate_limit INTEGER                  -- requests a minute; NULL: any number
) STRICT;

-- How many messages of an account were taken on a day, for its quota. The day
-- before stays as long: a clock that is set back gives nobody a new quota.
CREATE TABLE IF NOT EXISTS quota_days (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    day        TEXT NOT NULL,           -- 2026-01-31, UTC
    messages   INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT, WITHOUT ROWID;

-- How many requests an account has made in a minute, for its limit; likewise.
CREATE TABLE IF NOT EXISTS rate_minutes (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    minute     INTEGER NOT NULL,        -- since 1970
    requests   INTEGER NOT NULL,
    PRIMARY KEY (account_id, minute)
) STRICT, WITHOUT ROWID;

-- What an account says of itself to whom it writes: nothing, unless set.
CREATE TABLE IF NOT EXISTS keyword_replies (
    account_id    INTEGER PRIMARY KEY REFERENCES accounts (id),
    stop_keywords TEXT NOT NULL DEFAULT '',-- its own beside the usual ones, one a line
    stop_reply    TEXT,                 -- to an opt-out
    start_reply   TEXT,                 -- to an opt-in
    help_reply    TEXT                  -- to HELP
) STRICT;

-- Phones that have opted out, or in again. Those that are not here have done
-- neither: they are subscribed.
CREATE TABLE IF NOT EXISTS subscriptions (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    phone      TEXT NOT NULL,
    subscribed INTEGER NOT NULL CHECK (subscribed IN (0, 1)),
    reason     TEXT NOT NULL CHECK (reason IN ('keyword', 'api', 'inbox', 'command')),
    changed_at TEXT NOT NULL,
    PRIMARY KEY (account_id, phone)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS subscriptions_opted_out ON subscriptions (account_id) WHERE subscribed = 0;

-- Keys of an account; several, so that one can be rotated. Only the SHA-256
-- of a key is kept: a key is random, so there is nothing for a slow hash to
-- protect, and the look-up costs microseconds.
CREATE TABLE IF NOT EXISTS api_keys (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    key_hash   TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    used_at    TEXT                     -- last used, to the minute
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
    request_id     TEXT,                -- of the request that stored it, for logs
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

-- Attempts to send a message that the gateway did not simply take.
CREATE TABLE IF NOT EXISTS message_attempts (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    attempt    INTEGER NOT NULL,        -- 1 for the first
    at         TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('rejected', 'unavailable', 'unconfirmed')),
    due_at     TEXT,                    -- of the next attempt, where there is one
    PRIMARY KEY (message_id, attempt)
) STRICT, WITHOUT ROWID;

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
    WHERE account_id = old.account_id AND bits = 10 AND stretch = old.seq >> 10;
    UPDATE message_counts SET messages = messages - 1
    WHERE account_id = old.account_id AND bits = 16 AND stretch = old.seq >> 16;
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

-- Whom an account has exchanged messages with: what the inbox shows on its
-- left. Brought up to date when somebody looks (conversations_upto), so that
-- sending and receiving pay nothing for it.
CREATE TABLE IF NOT EXISTS conversations (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    phone      TEXT NOT NULL,           -- the other side's number
    last_seq   INTEGER NOT NULL,        -- of its latest message
    read_seq   INTEGER NOT NULL DEFAULT 0,-- of the latest one that was looked at; never above last_seq
    PRIMARY KEY (account_id, phone)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS conversations_by_last ON conversations (account_id, last_seq);

-- One row: the greatest seq of messages that conversations takes account of.
CREATE TABLE IF NOT EXISTS conversations_upto (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;

INSERT OR IGNORE INTO conversations_upto VALUES (1, 0);

-- Where the latest message of all is removed, SQLite gives its seq to the next
-- one: that must not be taken for one that was looked at.
CREATE TRIGGER IF NOT EXISTS forget_last_message AFTER DELETE ON messages
WHEN NOT EXISTS (SELECT 1 FROM messages WHERE seq > old.seq) BEGIN
    UPDATE conversations_upto SET seq = min(seq, coalesce((SELECT max(seq) FROM messages), 0));
    UPDATE conversations SET read_seq = coalesce((SELECT max(seq) FROM messages), 0)
    WHERE account_id IN (SELECT id FROM accounts)
      AND last_seq > coalesce((SELECT max(seq) FROM messages), 0)
      AND read_seq > coalesce((SELECT max(seq) FROM messages), 0);
END;

-- Where an account wants to hear of its messages. The secret is kept as it
-- is: it signs.
CREATE TABLE IF NOT EXISTS webhooks (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    url        TEXT NOT NULL,
    secret     TEXT NOT NULL,           -- whsec_ and base64 (Standard Webhooks)
    created_at TEXT NOT NULL
) STRICT;

-- What is to be posted there, stored together with what it tells of. due_at
-- is as in messages: the end of the lease while an attempt is under way, NULL
-- once it was delivered or given up.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,   -- the webhook-id, the same at each attempt
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    message_id  TEXT,                   -- NULL for a test; the message may be gone since
    event       TEXT NOT NULL,          -- message.received, message.sent, ...
    payload     TEXT NOT NULL,          -- JSON
    state       TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    created_at  TEXT NOT NULL,
    due_at      TEXT,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retries     INTEGER NOT NULL DEFAULT 0,-- since the first attempt or the redelivery
    finished_at TEXT,
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT;

CREATE INDEX IF NOT EXISTS webhook_deliveries_by_account ON webhook_deliveries (account_id);
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_message ON webhook_deliveries (message_id);
CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (account_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_age ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- Each attempt and what the account's app answered.
CREATE TABLE IF NOT EXISTS webhook_attempts (
    delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    at          TEXT NOT NULL,
    took_ms     INTEGER NOT NULL,
    status      INTEGER,                -- of the answer; NULL where none came
    answer      TEXT,                   -- its beginning
    error       TEXT,                   -- in plain words, where none came
    PRIMARY KEY (delivery_id, attempt)
) STRICT, WITHOUT ROWID;
