"""The web page: what an account has sent and received, and its settings."""
