"""An HTTP client for the requests that Phonify sends, and the check of their addresses."""
