"""Tests of `phonify/web/`."""
