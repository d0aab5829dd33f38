"""The pages: the inbox of an account, its settings, the reference and the guides."""
