-- From version 5 to 6: the former secret of a webhook.
ALTER TABLE webhooks ADD COLUMN former_secret TEXT;
ALTER TABLE webhooks ADD COLUMN former_until TEXT;
