"""The APIs of other providers. The SDKs of these providers work with this server."""
