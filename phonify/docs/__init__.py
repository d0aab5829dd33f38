"""The page /docs: the API's description as a reference to read and to try out."""
