"""Tests of `phonify/schemas/`."""
