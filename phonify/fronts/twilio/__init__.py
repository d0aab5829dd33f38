"""The Twilio-compatible front: an API, webhooks and a settings page for apps that use Twilio."""
