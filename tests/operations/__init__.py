"""Tests of `phonify/operations/`."""
