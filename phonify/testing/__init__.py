"""Phonify in a test suite."""
