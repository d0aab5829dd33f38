"""Health and metrics, for those who run a server."""
