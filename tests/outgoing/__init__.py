"""Tests of `phonify/outgoing/`."""
