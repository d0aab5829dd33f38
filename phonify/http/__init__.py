"""What all HTTP packages share: authentication, reading arguments, error handlers, the rate limit."""
