"""Tests of `phonify/delivery/`."""
