"""Tests of `phonify/server/`."""
