-- From version 5 to 6: gateways and delivery receipts of messages, and the former secret of a webhook.

ALTER TABLE messages ADD COLUMN submitted_to TEXT;
ALTER TABLE messages ADD COLUMN gateway TEXT;
ALTER TABLE messages ADD COLUMN receipt_status TEXT CHECK (receipt_status IN ('delivered', 'undelivered'));
ALTER TABLE messages ADD COLUMN receipt_at TEXT;
ALTER TABLE messages ADD COLUMN receipt_code TEXT;
ALTER TABLE webhooks ADD COLUMN former_secret TEXT;
ALTER TABLE webhooks ADD COLUMN former_until TEXT;
