"""The settings of a run. `client.py` needs this file, and the server sends both as one file."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class TwilioSettings(TypedDict, total=False):
    """The settings of a run for an app that uses Twilio. The URLs are those of the app."""

    auth_token: str | None  # a token that the app knows already
    inbound_url: str | None  # gets received messages
    inbound_method: Literal["GET", "POST"] | None
    fallback_url: str | None  # is used if `inbound_url` fails
    fallback_method: Literal["GET", "POST"] | None


def write_run_arguments(name: str | None, ttl: int, twilio: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments of the request that begins a run. Raises TypeError for a setting that does not exist."""
    if unknown := twilio.keys() - TwilioSettings.__optional_keys__:
        raise TypeError(f"{', '.join(sorted(unknown))} can't be set for a run")
    given = {"name": name, "ttl": str(ttl), **twilio}
    return {key: value for key, value in given.items() if value is not None}
