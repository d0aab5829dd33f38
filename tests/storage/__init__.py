"""Tests of `phonify/storage/`."""
