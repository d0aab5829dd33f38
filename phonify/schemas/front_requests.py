"""The schemas of requests that change the settings of the Twilio-compatible API, or create a test run with them."""

from typing import Any

from marshmallow import post_load, validate

from ..ids import AUTH_TOKEN
from .fields import Argument, callback_url_field, choice_field, name_field, whole_field
from .requests import ArgumentsSchema, StrictSchema

_EXAMPLE = "http://127.0.0.1:5000/sms"


class FrontSettingsSchema(ArgumentsSchema):
    """Arguments of changing the settings of the Twilio-compatible API."""

    inbound_url = callback_url_field("The URL that gets received messages. An empty text means none.", example=_EXAMPLE)
    inbound_method = choice_field("GET", "POST", invalid="invalid_method", description="The method for `inbound_url`.")
    fallback_url = callback_url_field(
        "The URL that is used if `inbound_url` fails. An empty text means none.", example=_EXAMPLE
    )
    fallback_method = choice_field(
        "GET", "POST", invalid="invalid_method", description="The method for `fallback_url`."
    )
    auth_token = Argument(
        str,
        invalid="invalid_auth_token",
        form={
            "type": "string",
            "pattern": f"^{AUTH_TOKEN}$",
            "description": "The auth token that signs webhooks. You can set the token that your app already has.",
        },
        validate=validate.Regexp(rf"{AUTH_TOKEN}\Z", error="invalid_auth_token"),
    )


class ChangeFrontSchema(StrictSchema, FrontSettingsSchema):
    """Arguments of changing the settings of the Twilio-compatible API by REST."""


class CreateRunSchema(FrontSettingsSchema):
    """Arguments of creating a test run."""

    name = name_field("The purpose of the run.")
    ttl = whole_field(
        10, 86_400, invalid="invalid_ttl", description="The run ends after this number of seconds.", load_default=3_600
    )

    @post_load
    def gather_settings(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the settings of the front as one object."""
        name, ttl = loaded.pop("name", None), loaded.pop("ttl")
        return {"name": name, "ttl": ttl, "front": loaded}
