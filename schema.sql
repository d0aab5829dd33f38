-- The whole database of Phonify: one SQLite file.
--
-- Every time is text in UTC, such as 2026-01-31T09:30:00.000Z. All times have
-- the same length, so the order of the text is the order of time.
--
-- This file runs at the first start and after an upgrade. It creates missing
-- tables and indexes. It never drops anything. The version of the tables is in
-- PRAGMA user_version. Upgrades are in phonify/storage/upgrades/.

-- The accounts of this server. An account never sees the data of other accounts.
CREATE TABLE IF NOT EXISTS accounts (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    origin     TEXT,                    -- default sender; NULL: PHONIFY_ORIGIN
    created_at TEXT NOT NULL,
    quota      INTEGER,                 -- messages a day (UTC); NULL: no limit
    rate_limit INTEGER                  -- requests a minute; NULL: no limit
) STRICT;

-- How many messages of its quota an account has used on a day. The row of the
-- previous day is kept too. Without this row, an account would get a new quota
-- after the clock was set back.
CREATE TABLE IF NOT EXISTS quota_days (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    day        TEXT NOT NULL,           -- 2026-01-31, UTC
    messages   INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT, WITHOUT ROWID;

-- How many requests an account has sent in a minute, for its rate limit. The row
-- of the previous minute is kept too.
CREATE TABLE IF NOT EXISTS rate_minutes (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    minute     INTEGER NOT NULL,        -- minutes since 1970 (UTC)
    requests   INTEGER NOT NULL,
    PRIMARY KEY (account_id, minute)
) STRICT, WITHOUT ROWID;

-- An account's own opt-out keywords, and its replies to keywords.
CREATE TABLE IF NOT EXISTS keyword_replies (
    account_id    INTEGER PRIMARY KEY REFERENCES accounts (id),
    stop_keywords TEXT NOT NULL DEFAULT '',-- one on each line, in addition to STOP and the like
    stop_reply    TEXT,                 -- the reply to an opt-out; NULL: none
    start_reply   TEXT,                 -- the reply to an opt-in
    help_reply    TEXT                  -- the reply to HELP
) STRICT;

-- Phones that have opted out or have opted in again. A phone without a row is
-- subscribed.
CREATE TABLE IF NOT EXISTS subscriptions (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    phone      TEXT NOT NULL,
    subscribed INTEGER NOT NULL CHECK (subscribed IN (0, 1)),
    reason     TEXT NOT NULL CHECK (reason IN ('keyword', 'api', 'inbox', 'command')),
    changed_at TEXT NOT NULL,
    PRIMARY KEY (account_id, phone)
) STRICT, WITHOUT ROWID;

-- The API keys of accounts. An account can have several keys, so that a key can
-- be replaced. Only the SHA-256 of a key is stored. A slow hash is not needed,
-- because a key is random.
CREATE TABLE IF NOT EXISTS api_keys (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    key_hash   TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    revoked_at TEXT,
    used_at    TEXT                     -- last use, recorded at most once a minute
) STRICT;

-- Links that open the inbox without a key. A link works only once, and only for
-- ten minutes. Then its row is removed. Only the SHA-256 of the token is stored.
CREATE TABLE IF NOT EXISTS sign_in_links (
    token_hash TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions of the pages. If a key has opened a session, the session ends when the
-- key is revoked. Only the SHA-256 of the token is stored.
CREATE TABLE IF NOT EXISTS sessions (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    token_hash TEXT NOT NULL UNIQUE,
    key_id     INTEGER REFERENCES api_keys (id) ON DELETE CASCADE,-- NULL: a link has opened it
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS sessions_by_account ON sessions (account_id);
CREATE INDEX IF NOT EXISTS sessions_by_key ON sessions (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS sessions_by_end ON sessions (expires_at);

-- Test runs. Each run has its own account. After the end of the run, the account
-- is removed with all its rows. A run has the limits of its creator.
CREATE TABLE IF NOT EXISTS runs (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    id         TEXT NOT NULL UNIQUE,    -- the public name: UUIDv7, in the order of creation
    creator_id INTEGER NOT NULL REFERENCES accounts (id),
    name       TEXT,                    -- a name for people
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL            -- the end of the run
) STRICT;

CREATE INDEX IF NOT EXISTS runs_by_creator ON runs (creator_id);
CREATE INDEX IF NOT EXISTS runs_by_end ON runs (expires_at);

-- Every message, sent or received.
--
-- due_at is the time at which the delivery loop handles the message next. At
-- first, this is the time of sending. During a lease, this is the end of the
-- lease. After a temporary failure, this is the time of the next attempt. In a
-- final state, due_at is NULL.
--
-- Only the gateway in the column gateway gets the message. If the server does not
-- have this gateway, the message waits.
CREATE TABLE IF NOT EXISTS messages (
    seq            INTEGER PRIMARY KEY, -- in the order of arrival
    id             TEXT NOT NULL UNIQUE,-- UUIDv7, shown by the API; in the same order
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
    error_type     TEXT,                -- only in state 'error': a type of errors/table.py
    created_at     TEXT NOT NULL,
    send_at        TEXT,                -- only if scheduled: the time of sending
    due_at         TEXT,
    expires_at     TEXT,                -- end of the validity period
    attempts       INTEGER NOT NULL DEFAULT 0,
    submitted_at   TEXT,                -- when the gateway got it; NULL if the outcome is known
    submitted_to   TEXT,                -- Gateway.place of the gateway that got it last; NULL: none
    finished_at    TEXT,                -- when the state became final
    request_id     TEXT,                -- the id of the request that stored it, for logs
    key_id         INTEGER,             -- the id of that request's key; NULL: none
    lease_owner    TEXT,                -- the process that delivers it now (storage/process_lock.py)
    front          TEXT,                -- the front that stored it, such as twilio; NULL: no front
    gateway        TEXT,                -- the name of the gateway that it was accepted for; NULL: inbound, or not known
    receipt_status TEXT CHECK (receipt_status IN ('delivered', 'undelivered')),-- NULL: no delivery receipt yet
    receipt_at     TEXT,
    receipt_code   TEXT,                -- the provider's own code; NULL: none
    released_from  TEXT,                -- the id of the caught message; NULL: this is not a released copy
    CHECK ((state = 'error') = (error_type IS NOT NULL)),
    CHECK ((state = 'unconfirmed') = (finished_at IS NULL)),
    CHECK (due_at IS NULL OR state = 'unconfirmed')
) STRICT;

-- SQLite adds the primary key seq to the end of each index. So the entries for
-- one number are in the order of arrival.
CREATE INDEX IF NOT EXISTS messages_by_account ON messages (account_id);
CREATE INDEX IF NOT EXISTS messages_by_to ON messages (account_id, to_number);
CREATE INDEX IF NOT EXISTS messages_by_origin ON messages (account_id, origin_number);
CREATE INDEX IF NOT EXISTS messages_unsettled ON messages (account_id, state) WHERE state <> 'sent';
CREATE INDEX IF NOT EXISTS messages_inbound ON messages (account_id) WHERE direction = 'inbound';
CREATE INDEX IF NOT EXISTS messages_due ON messages (gateway, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_expiring ON messages (gateway, expires_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_leased ON messages (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_released ON messages (account_id, released_from) WHERE released_from IS NOT NULL;

-- The failed attempts to send a message, and the attempts in doubt.
CREATE TABLE IF NOT EXISTS message_attempts (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    attempt    INTEGER NOT NULL,        -- 1 for the first
    at         TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('rejected', 'unavailable', 'unconfirmed')),
    due_at     TEXT,                    -- when the next attempt is due; NULL: no next attempt
    PRIMARY KEY (message_id, attempt)
) STRICT, WITHOUT ROWID;

-- The provider's ids of messages. If a provider gives each part of a long text its
-- own id, the message has several rows.
CREATE TABLE IF NOT EXISTS message_parts (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    part       INTEGER NOT NULL,        -- 1 for the first; 0 or less: only a receipt has named the id
    gateway    TEXT NOT NULL,           -- the name of the gateway
    reference  TEXT NOT NULL,           -- the provider's id
    status     TEXT CHECK (status IN ('delivered', 'undelivered')),-- NULL: no receipt yet
    PRIMARY KEY (message_id, part)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX IF NOT EXISTS message_parts_by_reference ON message_parts (reference, gateway);

-- Reports of providers about messages, unchanged. A receipt can come before the
-- provider's id of the message is known. Then the receipt waits here.
CREATE TABLE IF NOT EXISTS receipts (
    seq         INTEGER PRIMARY KEY,
    gateway     TEXT NOT NULL,
    event_id    TEXT NOT NULL,          -- the same if a receipt is repeated
    message_id  TEXT,                   -- NULL: matches no message yet
    reference   TEXT,                   -- the provider's id of the message or of a part
    status      TEXT NOT NULL CHECK (status IN ('sent', 'delivered', 'undelivered')),
    error_type  TEXT,
    code        TEXT NOT NULL,
    partial     INTEGER NOT NULL CHECK (partial IN (0, 1)),-- 1: about one segment
    at          TEXT NOT NULL,
    received_at TEXT NOT NULL,
    UNIQUE (gateway, event_id)
) STRICT;

CREATE INDEX IF NOT EXISTS receipts_waiting ON receipts (reference, gateway) WHERE message_id IS NULL;
CREATE INDEX IF NOT EXISTS receipts_by_message ON receipts (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS receipts_by_age ON receipts (received_at);

-- The next look-up of a message. In a look-up, Phonify asks a gateway for the
-- outcome of a message.
CREATE TABLE IF NOT EXISTS look_ups (
    message_id TEXT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    due_at     TEXT NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    gateway    TEXT                     -- the gateway of the message
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS look_ups_due ON look_ups (gateway, due_at);

-- The numbers at which accounts receive texts through a gateway.
CREATE TABLE IF NOT EXISTS numbers (
    number     TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS numbers_by_account ON numbers (account_id);

-- Texts that a gateway has received, unchanged: whole texts, and parts of long
-- texts. A row is kept for some days, so that a repeated text is recognised.
CREATE TABLE IF NOT EXISTS received_texts (
    seq            INTEGER PRIMARY KEY,
    gateway        TEXT NOT NULL,
    event_id       TEXT NOT NULL,       -- the same if a text is repeated
    sender         TEXT NOT NULL,
    to_number      TEXT,                -- NULL: the provider does not name it
    body           TEXT NOT NULL,       -- empty after the message was stored
    at             TEXT NOT NULL,
    received_at    TEXT NOT NULL,
    part_reference TEXT,                -- NULL: a whole text
    part_total     INTEGER,
    part_number    INTEGER,
    message_id     TEXT,                -- the message that has this text; NULL: no message yet
    due_at         TEXT,                -- when it stops waiting for its missing parts; NULL: it does not wait
    UNIQUE (gateway, event_id)
) STRICT;

CREATE INDEX IF NOT EXISTS received_texts_open ON received_texts (to_number) WHERE message_id IS NULL;
CREATE INDEX IF NOT EXISTS received_texts_due ON received_texts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS received_texts_by_age ON received_texts (received_at);

-- The state of each gateway. All processes share this state.
CREATE TABLE IF NOT EXISTS gateways (
    name          TEXT PRIMARY KEY,
    held          INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),-- 1: an operator has paused it
    paused_until  TEXT,                 -- after a fault that affects all messages; NULL: not paused
    faults        INTEGER NOT NULL DEFAULT 0,-- such faults since the last message that was taken
    fault         TEXT,                 -- the text of the last fault, for the operator
    fault_at      TEXT,
    taken_at      TEXT,                 -- when it last took a message
    started_at    TEXT                  -- the start of the latest server or worker; NULL: it does not have this gateway
) STRICT, WITHOUT ROWID;

-- The segments that a gateway got in the last hour. The limits of the gateway need
-- these counts.
CREATE TABLE IF NOT EXISTS gateway_sends (
    gateway TEXT NOT NULL,
    at      TEXT NOT NULL,
    parts   INTEGER NOT NULL            -- segments
) STRICT;

CREATE INDEX IF NOT EXISTS gateway_sends_by_time ON gateway_sends (gateway, at);

-- The first answer to each Idempotency-Key. For 24 hours, a request with the same
-- key gets the same answer.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    key          TEXT NOT NULL,
    request_hash TEXT NOT NULL,         -- SHA-256 of the arguments
    status       INTEGER NOT NULL,      -- the HTTP status of the answer
    answer       TEXT NOT NULL,         -- the JSON of the answer
    created_at   TEXT NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created_at);

-- The conversations of an account, one for each phone. They are updated together
-- with the messages. So a list of conversations does not need a search through all
-- messages.
CREATE TABLE IF NOT EXISTS conversations (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    phone      TEXT NOT NULL,           -- the number of the phone
    last_seq   INTEGER NOT NULL,        -- seq of the latest message
    read_seq   INTEGER NOT NULL DEFAULT 0,-- seq of the latest read message; never greater than last_seq
    PRIMARY KEY (account_id, phone)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS conversations_by_last ON conversations (account_id, last_seq);

-- The URL to which an account's events are posted. The secret is stored as plain
-- text, because Phonify needs it to sign the events.
CREATE TABLE IF NOT EXISTS webhooks (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    url        TEXT NOT NULL,
    secret     TEXT NOT NULL,           -- whsec_ and base64 (Standard Webhooks)
    created_at TEXT NOT NULL,
    disabled_at TEXT,                   -- when the app has answered 410; NULL: enabled
    former_secret TEXT,                 -- also signs events, until former_until; NULL: none
    former_until TEXT
) STRICT;

-- Requests to an account's app. A delivery reports an event. The event and its
-- delivery are stored in one transaction. due_at and lease_owner have the same
-- meaning as in messages. In the states 'delivered' and 'failed', due_at is NULL.
-- Deliveries of one sequence are posted one after another. If a delivery waits for
-- an earlier delivery, its due_at is far in the future.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,   -- the webhook-id; the same at each attempt
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    message_id  TEXT,                   -- NULL for a test event; the message may not exist any more
    event       TEXT NOT NULL,          -- message.received, message.sent, ...
    payload     TEXT NOT NULL,          -- JSON
    state       TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    created_at  TEXT NOT NULL,
    due_at      TEXT,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retries     INTEGER NOT NULL DEFAULT 0,-- after the first attempt or after a redelivery
    finished_at TEXT,
    lease_owner TEXT,
    kind        TEXT NOT NULL DEFAULT 'standard',-- how it is posted and signed
    url         TEXT,                   -- NULL: the account's webhook
    sequence    TEXT,                   -- NULL: it waits for no other delivery
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT;

CREATE INDEX IF NOT EXISTS webhook_deliveries_by_account ON webhook_deliveries (account_id);
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_message ON webhook_deliveries (account_id, message_id);
CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (account_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_in_sequence ON webhook_deliveries (sequence) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_leased ON webhook_deliveries (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_age ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- Attempts to post an event, with the answer of the account's app.
CREATE TABLE IF NOT EXISTS webhook_attempts (
    delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    at          TEXT NOT NULL,
    took_ms     INTEGER NOT NULL,       -- duration in milliseconds
    status      INTEGER,                -- HTTP status of the answer; NULL: no answer
    answer      TEXT,                   -- the beginning of the answer
    error       TEXT,                   -- why there is no answer, or why it does not count
    PRIMARY KEY (delivery_id, attempt)
) STRICT, WITHOUT ROWID;

-- The latest webhook lab of each account. While a lab runs, it moves `until`
-- forward. If the time `until` has passed, the process of the lab has ended, and
-- another lab can begin.
CREATE TABLE IF NOT EXISTS labs (
    account_id  INTEGER PRIMARY KEY REFERENCES accounts (id),
    id          TEXT NOT NULL,
    form        TEXT NOT NULL,          -- standard, or the name of a front
    started_at  TEXT NOT NULL,
    until       TEXT NOT NULL,
    trial       TEXT,                   -- the trial that is running
    finished_at TEXT,
    report      TEXT                    -- JSON; NULL: it is running or was interrupted
) STRICT;

-- The data of an account for the Twilio-compatible front. The auth token is stored
-- as plain text, because the front signs its webhooks with this token. The token is
-- valid only for this front.
CREATE TABLE IF NOT EXISTS front_accounts (
    account_id      INTEGER PRIMARY KEY REFERENCES accounts (id),
    auth_token      TEXT NOT NULL,      -- usually 32 hexadecimal digits; a test can set another token
    inbound_url     TEXT,               -- gets received messages; NULL: none
    inbound_method  TEXT NOT NULL DEFAULT 'POST' CHECK (inbound_method IN ('GET', 'POST')),
    fallback_url    TEXT,               -- used if inbound_url does not work
    fallback_method TEXT NOT NULL DEFAULT 'POST' CHECK (fallback_method IN ('GET', 'POST'))
) STRICT;

-- The front's data of a message.
CREATE TABLE IF NOT EXISTS front_messages (
    message_id      TEXT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    is_reply        INTEGER NOT NULL DEFAULT 0 CHECK (is_reply IN (0, 1)),
    service_sid     TEXT,               -- the id of the messaging service
    status_callback TEXT,               -- URL that gets each new status
    media           TEXT NOT NULL DEFAULT '[]',-- JSON: the URLs of media
    parameters      TEXT NOT NULL DEFAULT '{}',-- JSON: other parameters, which have no effect
    feedback        TEXT,               -- confirmed or unconfirmed
    feedback_at     TEXT
) STRICT, WITHOUT ROWID;

-- The clock of the server, if a developer has changed it in a sandbox. Without a
-- row, the server uses the machine's clock.
CREATE TABLE IF NOT EXISTS server_clock (
    id        INTEGER PRIMARY KEY CHECK (id = 1),-- there is one clock
    ahead_ms  INTEGER NOT NULL,         -- milliseconds ahead of the machine's clock; less than 0: behind
    frozen_at TEXT                      -- the time at which the clock stands; NULL: it runs
) STRICT;

-- The latest requests of each account that a front has refused. The inbox shows
-- these requests.
CREATE TABLE IF NOT EXISTS front_refusals (
    seq        INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    at         TEXT NOT NULL,
    to_number  TEXT NOT NULL,           -- exactly as in the request, like origin and body
    origin     TEXT NOT NULL,
    body       TEXT NOT NULL,
    code       INTEGER NOT NULL,        -- an error code of the other provider
    meaning    TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS front_refusals_by_account ON front_refusals (account_id);

-- The rules of the sandbox: what happens to the messages and requests of an
-- account. The first rule that matches applies. schemas/rules.py explains each
-- value.
CREATE TABLE IF NOT EXISTS rules (
    id            TEXT PRIMARY KEY,     -- UUIDv7
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    position      INTEGER NOT NULL,     -- 1 for the first
    name          TEXT,                 -- a name for people
    to_number     TEXT,                 -- a number, or its beginning and *; NULL: any number
    origin_number TEXT,
    contains      TEXT,                 -- a part of the body
    pattern       TEXT,                 -- of the whole body, with * and ?
    direction     TEXT NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    nth           INTEGER,              -- only the n-th message or request that matches; NULL: each one
    share         REAL,                 -- percent of those that match; NULL: all
    seed          INTEGER NOT NULL,     -- decides which ones belong to the share
    outcome       TEXT NOT NULL,
    error_type    TEXT,
    seconds       REAL NOT NULL,
    times         INTEGER NOT NULL,
    reply         TEXT,                 -- the text that the phone sends
    status        INTEGER,              -- of the answer to a request
    uses          INTEGER,              -- the rule ends after this number of uses; NULL: it does not
    expires_at    TEXT,                 -- the rule ends at this time; NULL: it does not
    seen          INTEGER NOT NULL DEFAULT 0,-- how many have matched, before nth and share are checked
    used          INTEGER NOT NULL DEFAULT 0 -- how often the rule was applied
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS rules_by_account ON rules (account_id, position);

-- The rule that was applied to a message, with the outcome that the rule had at that
-- time. So the outcome does not change if the rule is changed or removed later.
CREATE TABLE IF NOT EXISTS met_rules (
    message_id TEXT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    rule_id    TEXT,                    -- the special number of a built-in rule; NULL: a person has chosen the outcome
    name       TEXT,
    outcome    TEXT NOT NULL,
    error_type TEXT,
    seconds    REAL NOT NULL,
    times      INTEGER NOT NULL,
    reply      TEXT,
    since      INTEGER NOT NULL DEFAULT 0,-- how many attempts came before the outcome applied
    due_at     TEXT                     -- when the receipt or the reply comes; NULL: nothing comes
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS met_rules_due ON met_rules (due_at) WHERE due_at IS NOT NULL;
