"""Phonify: a self-hosted SMS API on one SQLite file."""

import importlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import accounts, monitoring, sandbox
from .access_log import install_key_filter
from .api import openapi, v1
from .api.arguments import MAX_CONTENT_LENGTH, MAX_FIELDS
from .api.error_handlers import register_error_handlers
from .cli import register_commands
from .clock import Clock, SystemClock
from .config import ConfigError, Settings, read_settings, unknown_settings
from .db import Database
from .docs import pages as docs_pages
from .doorbell import Doorbell
from .errors import StoreUnavailable
from .gateways import GATEWAYS
from .gateways.base import Gateway
from .inbox import compose, search, session
from .inbox import conversations as inbox_conversations
from .inbox import settings as inbox_settings
from .numbers import load_regions
from .request_id import add_request_id, begin_request
from .runtime import build_runtime
from .upgrades import DatabaseUnusable, prepare

logger = logging.getLogger(__name__)

__version__ = "0.1.0"


def create_app(
    config: Mapping[str, Any] | None = None, *, clock: Clock | None = None, gateway: Gateway | None = None
) -> Flask:
    """Build the app: the settings are read and the database is made ready.

    `config` has settings without their prefix, such as `{"DATABASE": "/tmp/test.db"}`, and wins
    over the environment. Raises ConfigError where the app can't start. Nothing is left open, so
    that a server may fork afterwards, and no thread is started.
    """
    settings = read_settings(os.environ, config)
    logging.getLogger("phonify").setLevel(settings.log_level)
    install_key_filter()
    for name in unknown_settings(os.environ):
        logger.warning("%s is not a setting of Phonify and is ignored", name)

    load_regions()
    clock = clock or SystemClock()
    gateway = gateway or GATEWAYS[settings.gateway]()
    doorbell = Doorbell()
    database = Database(settings.database, committed=doorbell.ring)
    try:
        _prepare_database(database, settings, clock)
    finally:
        database.close()

    app = Flask("phonify", static_folder=None)
    # A redirect to the address with or without a slash would be HTML.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined] # of Flask's own provider
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_CONTENT_LENGTH,
        MAX_FORM_MEMORY_SIZE=MAX_CONTENT_LENGTH,
        MAX_FORM_PARTS=MAX_FIELDS,
        VERSION=__version__,
    )
    app.extensions["phonify"] = build_runtime(settings, clock, gateway, database, doorbell)
    app.before_request(begin_request)
    if settings.metrics:
        _measure(app)
    app.after_request(add_request_id)
    for blueprint in (monitoring.bp, v1.bp, openapi.bp):
        app.register_blueprint(blueprint)
    if gateway.sandbox:
        app.register_blueprint(sandbox.bp)
    for blueprint in (session.bp, inbox_conversations.bp, compose.bp, search.bp, inbox_settings.bp):
        app.register_blueprint(blueprint)
    app.register_blueprint(docs_pages.bp)
    register_error_handlers(app)
    register_commands(app.cli)
    return app


def _measure(app: Flask) -> None:
    """Count what Prometheus is told."""
    try:
        # Not before it is wanted: the library is an extra.
        metrics = importlib.import_module("phonify.metrics")
    except ImportError as error:
        raise ConfigError("PHONIFY_METRICS: needs the package prometheus-client; pip install it") from error
    metrics.measure(app)


def _prepare_database(database: Database, settings: Settings, clock: Clock) -> None:
    try:
        prepare(database)
        account = accounts.ensure_default_account(database, clock)
        if settings.api_key is not None:
            admitted = accounts.admit_key(database, clock, account, name="PHONIFY_API_KEY", key=settings.api_key)
            if not admitted:
                logger.warning("the key in PHONIFY_API_KEY was revoked and stays so; see: keys list")
    except DatabaseUnusable as error:
        raise ConfigError(f"the database can't be used: {error}") from error
    except StoreUnavailable as error:
        raise ConfigError(f"the database can't be used: {settings.database}: {error.__cause__}") from error
    except accounts.KeyTaken as error:
        raise ConfigError("PHONIFY_API_KEY: the key belongs to another account than default") from error


__all__ = ["ConfigError", "create_app"]
