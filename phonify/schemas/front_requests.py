"""The schemas of requests that set what a front keeps about an account: its auth token and its URLs."""

from typing import Any

from marshmallow import post_load

from ..ids import AUTH_TOKEN, is_auth_token
from .fields import Argument, choice_field, name_field, whole_field
from .requests import ArgumentsSchema, StrictSchema

_URL = {"type": "string", "format": "callback-url", "examples": ["http://127.0.0.1:5000/sms"]}


def _read_url(text: str) -> str | None:
    return text or None


def _read_auth_token(text: str) -> str:
    if not is_auth_token(text):
        raise ValueError("not an auth token")
    return text


def _url_field(description: str) -> Argument:
    form = {**_URL, "description": description}
    return Argument(_read_url, invalid="invalid_webhook_url", form=form)


class FrontSettingsSchema(ArgumentsSchema):
    """Arguments of changing the settings of the Twilio-compatible API."""

    inbound_url = _url_field("The URL that gets received messages. An empty text means none.")
    inbound_method = choice_field("GET", "POST", invalid="invalid_method", description="The method for `inbound_url`.")
    fallback_url = _url_field("The URL that is used if `inbound_url` fails. An empty text means none.")
    fallback_method = choice_field(
        "GET", "POST", invalid="invalid_method", description="The method for `fallback_url`."
    )
    auth_token = Argument(
        _read_auth_token,
        invalid="invalid_auth_token",
        form={
            "type": "string",
            "pattern": f"^{AUTH_TOKEN}$",
            "description": "The auth token that signs webhooks, such as the one that the app has already.",
        },
    )


class ChangeFrontSchema(StrictSchema, FrontSettingsSchema):
    """Arguments of changing the settings of the Twilio-compatible API by REST."""


class CreateRunSchema(FrontSettingsSchema):
    """Arguments of creating a test run."""

    name = name_field("What the run is for.")
    ttl = whole_field(
        10, 86_400, invalid="invalid_ttl", description="Seconds after which the run ends.", load_default=3_600
    )

    @post_load
    def gather_settings(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the settings of the front as one object."""
        settings = {name: loaded.pop(name) for name in FrontSettingsSchema().fields if name in loaded}
        return {**loaded, "front": settings}
