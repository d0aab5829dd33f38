"""Phonify in a test suite: the pytest plugin, its server, and a client for tests."""
