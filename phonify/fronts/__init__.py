"""APIs of other providers, so that their SDKs work with this server."""
