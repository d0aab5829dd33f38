"""The application factory."""

import importlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import __version__
from .api import v1
from .api.openapi import views as openapi
from .cli.commands import register_commands
from .clock import Clock, SystemClock
from .config import ConfigError, merge, read_settings, unknown_settings
from .errors import StoreUnavailable
from .fronts import callbacks
from .fronts.twilio import front as twilio
from .gateways import GATEWAYS
from .gateways.base import Gateway
from .gateways.stub import StubGateway
from .http.arguments import MAX_CONTENT_LENGTH, MAX_FIELDS
from .http.cors import add_cors_headers
from .http.current import get_services
from .http.errors import register_error_handlers
from .http.request_ids import add_request_id, begin_request
from .logs import install_key_filter
from .operations import health as monitoring
from .sandbox import clock as sandbox_clock
from .sandbox import downloads
from .sandbox import views as sandbox
from .services import Services
from .sms.numbers import load_regions
from .web import clock as inbox_clock
from .web import compose, search, session
from .web import conversations as inbox_conversations
from .web import lab as inbox_lab
from .web import reference as docs_pages
from .web import rules as inbox_rules
from .web import settings as inbox_settings

logger = logging.getLogger(__name__)


def create_app(
    config: Mapping[str, Any] | None = None, *, clock: Clock | None = None, gateway: Gateway | None = None
) -> Flask:
    """Build the app from the settings. If the database already exists, upgrade it.

    `config` has settings without their prefix, such as `{"DATABASE": "/tmp/test.db"}`. These settings have priority
    over environment variables. If the database does not exist, the first request creates it. Raises ConfigError if the
    app can't start. After this call, a server can fork, because no file is open and no thread is running.
    """
    return build_app(make_services(config, clock=clock, gateway=gateway))


def make_services(
    config: Mapping[str, Any] | None = None, *, clock: Clock | None = None, gateway: Gateway | None = None
) -> Services:
    """Read the settings, and create the services. If the database already exists, upgrade it. See `create_app`."""
    settings = read_settings(os.environ, config)
    logging.getLogger("phonify").setLevel(settings.log_level)
    install_key_filter()
    for name in unknown_settings(os.environ):
        logger.warning("%s is not a setting of Phonify and is ignored", name)

    load_regions()
    given = merge(os.environ, config)
    gateway = gateway or GATEWAYS[settings.gateway].from_environ(given)
    release = GATEWAYS[settings.release_gateway].from_environ(given) if settings.release_gateway else None
    services = Services(settings, clock or SystemClock(), gateway, release)
    if isinstance(gateway, StubGateway):
        gateway.follow(services.rules.choose)
    try:
        services.prepare(only_existing=True)
    finally:
        services.database.close()
    if services.has_twilio:
        twilio.add_to_services(services)
    return services


def build_app(services: Services) -> Flask:
    """Build the app with its views. The views find the services in `app.extensions`."""
    app = Flask("phonify", static_folder=None)
    # Without the next two lines, Flask answers some paths with a redirect. The content of this redirect is HTML.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask's default provider has it
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_CONTENT_LENGTH,
        MAX_FORM_MEMORY_SIZE=MAX_CONTENT_LENGTH,
        MAX_FORM_PARTS=MAX_FIELDS,
        VERSION=__version__,
    )
    app.extensions["phonify"] = services
    app.before_request(begin_request)
    app.before_request(_prepare_at_first_request)
    if services.settings.metrics:
        _measure(app)
    app.after_request(add_request_id)
    app.after_request(add_cors_headers)
    for blueprint in (monitoring.bp, v1.bp, openapi.bp, callbacks.bp):
        app.register_blueprint(blueprint)
    if services.gateway.sandbox:
        app.register_blueprint(sandbox.bp)
        app.register_blueprint(sandbox_clock.bp)
        app.register_blueprint(downloads.bp)
        app.register_blueprint(inbox_lab.bp)
        app.register_blueprint(inbox_rules.bp)
    if services.has_twilio:
        twilio.add_views(app, sandbox=services.gateway.sandbox)
    for blueprint in (session.bp, inbox_conversations.bp, compose.bp, search.bp, inbox_settings.bp, inbox_clock.bp):
        app.register_blueprint(blueprint)
    app.register_blueprint(docs_pages.bp)
    register_error_handlers(app, twilio.ERROR_FORMS if services.has_twilio else {})
    register_commands(app.cli)
    return app


def _measure(app: Flask) -> None:
    """Collect the numbers that `/metrics` shows, such as the number of requests."""
    try:
        # Imported only here, because the library is an optional extra.
        metrics = importlib.import_module("phonify.operations.metrics")
    except ImportError as error:
        raise ConfigError(
            "PHONIFY_METRICS needs the package prometheus-client: pip install prometheus-client"
        ) from error
    metrics.measure(app)


def _prepare_at_first_request() -> None:
    """If the database is missing at the first request, create the database. A command never calls this function."""
    try:
        get_services().prepare()
    except ConfigError as error:
        raise StoreUnavailable from error
