"""The Twilio-compatible front."""
