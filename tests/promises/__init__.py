"""Tests of the behaviour that users rely on. They use only HTTP, commands, pages and the database file."""
