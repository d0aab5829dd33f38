"""The front for apps that use Twilio. It consists of an API, webhooks and a settings page."""
