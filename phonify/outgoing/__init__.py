"""The HTTP client that sends Phonify's requests, and checks of URLs and addresses."""
