-- From version 3 to 4: new indexes by number, conversations that are stored together with the messages, and
-- leases with an owner.
DROP TRIGGER IF EXISTS count_inserted_message;
DROP TRIGGER IF EXISTS count_deleted_message;
DROP TRIGGER IF EXISTS forget_last_message;
DROP TABLE message_counts;
DROP TABLE IF EXISTS conversations_upto;
DROP INDEX IF EXISTS subscriptions_opted_out;
DROP INDEX IF EXISTS messages_by_to;
DROP INDEX IF EXISTS messages_by_origin;
DROP INDEX messages_inbound;
DROP INDEX IF EXISTS webhook_deliveries_by_message;
ALTER TABLE messages DROP COLUMN stretch;
ALTER TABLE messages ADD COLUMN lease_owner TEXT;
ALTER TABLE webhook_deliveries ADD COLUMN lease_owner TEXT;

-- In version 3, a conversation was updated only when somebody looked at it.
INSERT INTO conversations (account_id, phone, last_seq)
SELECT account_id, CASE direction WHEN 'outbound' THEN to_number ELSE origin_number END AS phone, max(seq)
FROM messages WHERE true GROUP BY account_id, phone
ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq, read_seq = min(read_seq, excluded.last_seq);

DELETE FROM conversations WHERE NOT EXISTS (
    SELECT 1 FROM messages AS m
    WHERE m.seq = last_seq AND m.account_id = conversations.account_id
      AND conversations.phone = CASE m.direction WHEN 'outbound' THEN m.to_number ELSE m.origin_number END
);
