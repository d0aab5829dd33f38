"""Tests of `phonify/fronts/twilio/`."""
