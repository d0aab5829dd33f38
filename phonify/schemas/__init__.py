"""The marshmallow schemas of requests, and of the objects in answers."""
