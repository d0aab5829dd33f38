"""The requests under /sandbox. They exist only if the gateway is a sandbox."""
