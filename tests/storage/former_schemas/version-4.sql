-- The whole database of Phonify: one SQLite file.
--
-- Every time is text in UTC with milliseconds, one fixed width, so that text
-- order is time order: 2026-01-31T09:30:00.000Z.
--
-- This file creates what is missing and never drops anything. It runs at the
-- first start. PRAGMA user_version has the version of the tables; see
-- phonify/storage/upgrades/.

-- The accounts of this server. An account never sees another account's data.
CREATE TABLE IF NOT EXISTS accounts (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    origin     TEXT,                    -- default sender; NULL: the server's
    created_at TEXT NOT NULL,
    quota      INTEGER,                 -- messages a day (UTC); NULL: any number
    rate_limit INTEGER                  -- requests a minute; NULL: any number
) STRICT;

-- The number of messages that an account has sent on a day, for its quota. The
-- previous day is kept too, so that an account gets no new quota if the clock
-- is set back.
CREATE TABLE IF NOT EXISTS quota_days (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    day        TEXT NOT NULL,           -- 2026-01-31, UTC
    messages   INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT, WITHOUT ROWID;

-- The number of requests of an account in a minute, for its rate limit. The
-- previous minute is kept too.
CREATE TABLE IF NOT EXISTS rate_minutes (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    minute     INTEGER NOT NULL,        -- since 1970
    requests   INTEGER NOT NULL,
    PRIMARY KEY (account_id, minute)
) STRICT, WITHOUT ROWID;

-- An account's own opt-out keywords, and its replies to keywords.
CREATE TABLE IF NOT EXISTS keyword_replies (
    account_id    INTEGER PRIMARY KEY REFERENCES accounts (id),
    stop_keywords TEXT NOT NULL DEFAULT '',-- its own beside the usual ones, one a line
    stop_reply    TEXT,                 -- to an opt-out
    start_reply   TEXT,                 -- to an opt-in
    help_reply    TEXT                  -- to HELP
) STRICT;

-- Phones that have opted out, or in again. A phone without a row is subscribed.
CREATE TABLE IF NOT EXISTS subscriptions (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    phone      TEXT NOT NULL,
    subscribed INTEGER NOT NULL CHECK (subscribed IN (0, 1)),
    reason     TEXT NOT NULL CHECK (reason IN ('keyword', 'api', 'inbox', 'command')),
    changed_at TEXT NOT NULL,
    PRIMARY KEY (account_id, phone)
) STRICT, WITHOUT ROWID;

-- The API keys of accounts. An account may have several, so that a key can be
-- replaced. Only the SHA-256 of a key is stored. A key is random, so a slow hash
-- would not protect it better.
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
-- due_at is when the delivery loop takes the message next: first the time of
-- sending; during a lease, the end of the lease; after a temporary failure, the
-- time of the next attempt. It is NULL in a final state.
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
    lease_owner    TEXT,                -- which process has it in hand (process_lock.py)
    CHECK ((state = 'error') = (error_type IS NOT NULL)),
    CHECK ((state = 'unconfirmed') = (finished_at IS NULL)),
    CHECK (due_at IS NULL OR state = 'unconfirmed')
) STRICT;

-- Each index ends in seq, the key of the table, so its entries for one number are
-- in the order of arrival.
CREATE INDEX IF NOT EXISTS messages_by_account ON messages (account_id);
CREATE INDEX IF NOT EXISTS messages_by_to ON messages (account_id, to_number);
CREATE INDEX IF NOT EXISTS messages_by_origin ON messages (account_id, origin_number);
CREATE INDEX IF NOT EXISTS messages_unsettled ON messages (account_id, state) WHERE state <> 'sent';
CREATE INDEX IF NOT EXISTS messages_inbound ON messages (account_id) WHERE direction = 'inbound';
CREATE INDEX IF NOT EXISTS messages_due ON messages (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_leased ON messages (lease_owner) WHERE lease_owner IS NOT NULL;

-- Attempts to send a message, except those that succeeded.
CREATE TABLE IF NOT EXISTS message_attempts (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    attempt    INTEGER NOT NULL,        -- 1 for the first
    at         TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('rejected', 'unavailable', 'unconfirmed')),
    due_at     TEXT,                    -- of the next attempt; NULL: there is none
    PRIMARY KEY (message_id, attempt)
) STRICT, WITHOUT ROWID;

-- The first answer to each Idempotency-Key, which is repeated for 24 hours.
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

-- The conversations of an account, one for each phone. They are written together
-- with the messages, so that a list of conversations does not read the messages.
CREATE TABLE IF NOT EXISTS conversations (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    phone      TEXT NOT NULL,           -- the other side's number
    last_seq   INTEGER NOT NULL,        -- of its latest message
    read_seq   INTEGER NOT NULL DEFAULT 0,-- of the latest one that was looked at; never above last_seq
    PRIMARY KEY (account_id, phone)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS conversations_by_last ON conversations (account_id, last_seq);

-- The URL that an account's events are posted to. The secret is stored in plain
-- text, because it signs the events.
CREATE TABLE IF NOT EXISTS webhooks (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    url        TEXT NOT NULL,
    secret     TEXT NOT NULL,           -- whsec_ and base64 (Standard Webhooks)
    created_at TEXT NOT NULL
) STRICT;

-- Events to be posted. An event reports a change, and both are stored in one
-- transaction. due_at and lease_owner are as in messages. due_at is NULL if the
-- event was delivered or given up.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,   -- the webhook-id, the same at each attempt
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    message_id  TEXT,                   -- NULL for a test; the message may have been removed since
    event       TEXT NOT NULL,          -- message.received, message.sent, ...
    payload     TEXT NOT NULL,          -- JSON
    state       TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    created_at  TEXT NOT NULL,
    due_at      TEXT,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retries     INTEGER NOT NULL DEFAULT 0,-- since the first attempt or the redelivery
    finished_at TEXT,
    lease_owner TEXT,
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT;

CREATE INDEX IF NOT EXISTS webhook_deliveries_by_account ON webhook_deliveries (account_id);
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_message ON webhook_deliveries (account_id, message_id);
CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (account_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_leased ON webhook_deliveries (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_age ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- Each attempt to post an event, and the answer of the account's app.
CREATE TABLE IF NOT EXISTS webhook_attempts (
    delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    at          TEXT NOT NULL,
    took_ms     INTEGER NOT NULL,
    status      INTEGER,                -- of the answer; NULL if none came
    answer      TEXT,                   -- its beginning
    error       TEXT,                   -- in plain words; NULL if an answer came
    PRIMARY KEY (delivery_id, attempt)
) STRICT, WITHOUT ROWID;
