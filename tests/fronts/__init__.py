"""Tests of `phonify/fronts/`."""
