"""The HTTP client for Phonify's own requests, and the code that checks URLs and addresses."""
