"""The schemas of the requests `PUT /sandbox/twilio` and `POST /sandbox/runs`."""

from typing import Any

from marshmallow import post_load, validate

from ..ids import AUTH_TOKEN
from .fields import Argument, callback_url_field, choice_field, name_field, whole_field
from .requests import ArgumentsSchema, StrictSchema

_EXAMPLE = "http://127.0.0.1:5000/sms"


class FrontSettingsSchema(ArgumentsSchema):
    """The settings of the Twilio-compatible API."""

    inbound_url = callback_url_field(
        "Phonify forwards messages from phones to this URL. An empty text means no URL.", example=_EXAMPLE
    )
    inbound_method = choice_field("GET", "POST", invalid="invalid_method", description="The method for `inbound_url`.")
    fallback_url = callback_url_field(
        "Phonify uses this URL if `inbound_url` fails. An empty text means no URL.", example=_EXAMPLE
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
            "description": "Phonify signs webhooks with this auth token. You can use the existing token of your app.",
        },
        validate=validate.Regexp(rf"{AUTH_TOKEN}\Z", error="invalid_auth_token"),
    )


class ChangeFrontSchema(StrictSchema, FrontSettingsSchema):
    """The arguments of `PUT /sandbox/twilio`."""


class CreateRunSchema(FrontSettingsSchema):
    """The arguments of `POST /sandbox/runs`."""

    name = name_field("The purpose of the run.")
    ttl = whole_field(
        10, 86_400, invalid="invalid_ttl", description="The run ends after this number of seconds.", load_default=3_600
    )

    @post_load
    def gather_settings(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Put the settings of the Twilio-compatible API into one object."""
        name, ttl = loaded.pop("name", None), loaded.pop("ttl")
        return {"name": name, "ttl": ttl, "front": loaded}
