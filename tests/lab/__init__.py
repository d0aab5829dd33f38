"""Tests of `phonify/lab/`."""
