"""marshmallow schemas: what requests look like, and how objects are shown."""
