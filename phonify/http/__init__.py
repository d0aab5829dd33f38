"""The parts that all HTTP packages share: authentication, arguments, error handlers, the rate limit."""
