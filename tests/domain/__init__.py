"""Tests of `phonify/domain/`."""
