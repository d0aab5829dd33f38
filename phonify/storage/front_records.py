"""The records of fronts: data about accounts and messages, and refused requests. schema.sql explains the columns."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class FrontAccount(NamedTuple):
    """Data about an account. Only the Twilio-compatible front uses this data."""

    account_id: int
    auth_token: str
    inbound_url: str | None = None
    inbound_method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"


class FrontMessage(NamedTuple):
    """Data about a message. Only the front of the message uses this data."""

    is_reply: bool = False
    service_sid: str | None = None
    status_callback: str | None = None
    media: tuple[str, ...] = ()  # URLs
    parameters: Mapping[str, str] = MappingProxyType({})  # parameters of the request that have no effect
    feedback: str | None = None
    feedback_at: str | None = None


class Refusal(NamedTuple):
    """A refused request. A front has refused to send a message."""

    at: str
    to: str
    origin: str
    body: str
    code: int
    meaning: str
