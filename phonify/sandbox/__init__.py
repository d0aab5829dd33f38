"""What only a sandbox has: under /sandbox, with the stub gateway."""
