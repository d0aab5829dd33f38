"""Delivers messages and webhook events. The loop is in `loop.py`."""
