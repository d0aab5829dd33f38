"""Requests that Phonify makes: a guard for addresses, and an HTTP client that obeys it."""
