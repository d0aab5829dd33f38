"""Finds Phonify's services, such as the database, while a request is handled."""

from flask import current_app

from ..services import Services


def get_services() -> Services:
    """Return the services of the current app."""
    services: Services = current_app.extensions["phonify"]
    return services
