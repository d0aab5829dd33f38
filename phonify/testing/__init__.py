"""The tools for test suites: the pytest plugin, its server, and a client."""
