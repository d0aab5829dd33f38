"""Tests of `phonify/gateways/`."""
