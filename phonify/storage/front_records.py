"""The database rows that belong to fronts.

A front is a part of Phonify that offers a provider's API, such as Twilio's API. Each class here describes one kind of
row. There are rows for accounts, for messages, and for refused requests. schema.sql explains the columns.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class FrontAccount(NamedTuple):
    """The data that the Twilio-compatible API stores about an account."""

    account_id: int
    auth_token: str
    inbound_url: str | None = None
    inbound_method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"


class FrontMessage(NamedTuple):
    """The data that a front stores about a message.

    A front is a part of Phonify that offers a provider's API, such as Twilio's API. Only the front that has accepted
    the message uses this data.
    """

    is_reply: bool = False
    service_sid: str | None = None
    status_callback: str | None = None
    media: tuple[str, ...] = ()  # URLs
    parameters: Mapping[str, str] = MappingProxyType({})  # parameters of the request that have no effect
    feedback: str | None = None
    feedback_at: str | None = None


class Refusal(NamedTuple):
    """A refused request to send a message. The request used a front, such as the Twilio-compatible API."""

    at: str
    to: str
    origin: str
    body: str
    code: int
    meaning: str
