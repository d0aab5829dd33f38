"""The shared parts of the HTTP packages: authentication, arguments, error handlers and the rate limit."""
