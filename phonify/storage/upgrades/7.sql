-- From version 6 to 7: each outbound message names its gateway. Before, NULL meant the server's main gateway. A
-- released copy names the message that was caught. The tables of the sandbox are new, so schema.sql creates them.

ALTER TABLE messages ADD COLUMN released_from TEXT;

-- A file of an earlier version than 6 does not have this table yet.
CREATE TABLE IF NOT EXISTS look_ups (
    message_id TEXT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    due_at     TEXT NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Such a file does not have this table yet either.
CREATE TABLE IF NOT EXISTS gateways (
    name          TEXT PRIMARY KEY,
    held          INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    paused_until  TEXT,
    faults        INTEGER NOT NULL DEFAULT 0,
    fault         TEXT,
    fault_at      TEXT,
    taken_at      TEXT
) STRICT, WITHOUT ROWID;

ALTER TABLE gateways ADD COLUMN started_at TEXT;

-- No gateway has got these messages yet. They go to the main gateway that was in use last.
UPDATE messages SET gateway = (
    SELECT submitted_to FROM messages WHERE gateway IS NULL AND submitted_to IS NOT NULL ORDER BY seq DESC LIMIT 1
) WHERE due_at IS NOT NULL AND gateway IS NULL AND submitted_to IS NULL;

UPDATE messages SET gateway = submitted_to WHERE gateway IS NULL AND submitted_to IS NOT NULL;

ALTER TABLE look_ups ADD COLUMN gateway TEXT;
UPDATE look_ups SET gateway = (SELECT gateway FROM messages WHERE id = message_id);

DROP INDEX IF EXISTS messages_due;
DROP INDEX IF EXISTS messages_expiring;
DROP INDEX IF EXISTS look_ups_due;
