"""Tests of `phonify/api/`."""
