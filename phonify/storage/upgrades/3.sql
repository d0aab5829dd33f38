-- From version 2 to 3: indexes by number. Each index is divided into parts of 131,072 messages.
ALTER TABLE messages ADD COLUMN stretch INTEGER AS (seq >> 17);
DROP INDEX messages_by_to;
DROP INDEX messages_by_origin;
DROP TRIGGER count_inserted_message;
DROP TRIGGER IF EXISTS count_deleted_message;
