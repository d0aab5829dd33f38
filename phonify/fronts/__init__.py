"""APIs that are compatible with those of other providers. The SDKs of these providers work with this server."""
