"""The delivery loop, and the delivery of messages and of webhook events."""
