"""What exists only in a sandbox, under /sandbox."""
