"""Tests of `phonify/sms/`."""
