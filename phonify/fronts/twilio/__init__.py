"""The part of Phonify that replaces Twilio for an app. This front consists of an API, webhooks and a settings page."""
