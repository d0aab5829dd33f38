"""Code that tests share: a gateway, receivers of webhooks, load, the processes of a server."""
