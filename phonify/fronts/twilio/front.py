"""Adds the Twilio-compatible API to the Flask app: views, callbacks and a page with settings."""

from collections.abc import Mapping

from flask import Blueprint, Flask

from ...http.errors import ErrorForm
from ...schemas.twilio import API_VERSION
from ...services import Services
from . import messages, resources
from . import sandbox as sandbox_views
from .auth import require_credentials, take_account_sid
from .callbacks import TwilioCallbacks
from .errors import TwilioError, show_error
from .lab_form import TwilioForm
from .pages import TwilioPage

# Below these paths, all errors have Twilio's JSON format. This includes the 404 for an unknown path.
ERROR_FORMS: Mapping[str, ErrorForm] = dict.fromkeys(
    (f"/{API_VERSION}", "/v1/Services", "/v2/Services", "/v2/PhoneNumbers"), show_error
)

bp = Blueprint("twilio", __name__, url_prefix=f"/{API_VERSION}/Accounts", template_folder="templates")
bp.url_value_preprocessor(take_account_sid)
bp.before_request(require_credentials)
bp.register_error_handler(TwilioError, TwilioError.to_response)
bp.register_blueprint(messages.bp)
bp.register_blueprint(resources.bp)


def add_views(app: Flask, *, sandbox: bool) -> None:
    """Add the front's views to an app."""
    app.register_blueprint(bp)
    if sandbox:
        app.register_blueprint(sandbox_views.bp)


def add_to_services(services: Services) -> None:
    """Add three parts to `services`: the callbacks, the form for the webhook lab, and the settings page."""
    services.webhooks.add_kind(
        TwilioCallbacks(services.fronts, services.webhooks, services.subscriptions, services.sending)
    )
    services.labs.add_form(TwilioForm())
    services.front_pages.append(TwilioPage(services.fronts, services.rules))
