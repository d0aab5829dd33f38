-- From version 6 to 7: a released copy names the message that was caught.

ALTER TABLE messages ADD COLUMN released_from TEXT;
