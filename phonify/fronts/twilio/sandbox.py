"""The resource /sandbox/twilio. Tests in any language use this resource to set up the Twilio-compatible API."""

from typing import Any

from flask import Blueprint

from ...http.arguments import read_arguments
from ...http.auth import current_account, require_key
from ...http.current import get_services
from ...schemas import sandbox_examples as examples
from ...schemas.description import describe
from ...schemas.front_requests import ChangeFrontSchema
from ...schemas.requests import load
from ...schemas.sandbox import TwilioSettingsAnswer, dump_twilio_settings

bp = Blueprint("test_twilio", __name__, url_prefix="/sandbox/twilio")
bp.before_request(require_key)

_SETTINGS = ChangeFrontSchema()


@bp.get("")
@describe(
    answers={200: TwilioSettingsAnswer},
    examples=examples.GET_TWILIO,
    text="If the account has no auth token, Phonify makes one.",
)
def get_twilio_settings() -> dict[str, Any]:
    """Retrieve the account's settings for the Twilio-compatible API: the credentials and the URLs."""
    kept = get_services().fronts.ensure_account(current_account())
    return {"twilio": dump_twilio_settings(kept)}


@bp.put("")
@describe(
    arguments=ChangeFrontSchema,
    answers={200: TwilioSettingsAnswer},
    errors=("unknown_argument",),
    examples=examples.CHANGE_TWILIO,
    text=(
        "If the request has no argument for a setting, the setting does not change."
        " If the account has no auth token, Phonify makes one. An unknown argument is refused."
    ),
)
def change_twilio_settings() -> dict[str, Any]:
    """Change the account's settings for the Twilio-compatible API: the auth token and the URLs."""
    kept = get_services().fronts.configure(current_account(), load(_SETTINGS, read_arguments()))
    return {"twilio": dump_twilio_settings(kept)}
