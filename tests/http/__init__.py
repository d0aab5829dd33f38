"""Tests of `phonify/http/`."""
