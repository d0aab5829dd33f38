-- From version 6 to 7: a released copy names the message that was caught. The tables of the sandbox are new, so schema.sql
-- creates them.

ALTER TABLE messages ADD COLUMN released_from TEXT;
