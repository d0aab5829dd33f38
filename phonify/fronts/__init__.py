"""Each front imitates the API of an SMS provider. The provider's SDKs work with this server."""
