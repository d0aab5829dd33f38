"""marshmallow schemas of requests and of shown objects."""
