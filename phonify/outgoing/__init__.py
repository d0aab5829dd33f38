"""An HTTP client for Phonify's requests, and the checks of URLs and addresses."""
