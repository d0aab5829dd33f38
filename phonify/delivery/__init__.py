"""The loop that delivers, and what it does for messages and for webhooks."""
