"""Code that several HTTP packages share: authentication, arguments, error handlers and the rate limit."""
