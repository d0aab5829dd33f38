"""Requests that Phonify makes: which addresses are allowed, and an HTTP client that holds to it."""
