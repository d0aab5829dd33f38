"""The interface between fronts and the pages.

A front is a part of Phonify that implements the API of an SMS provider. For example, there is a front for the API of
Twilio. The pages show information about each front. When the server starts for the first time, it prints information
about each front.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..storage.records import Account, Message


class FrontPage(Protocol):
    """Provides information about one front. The pages and the terminal show this information."""

    name: str
    template: str  # the path of an HTML template; the settings page includes this template

    def describe_message(self, message: Message) -> Sequence[str]:
        """Return short texts about a message. For example, the front for Twilio returns the message's SID."""

    def describe_settings(self, account: Account, address: str) -> Mapping[str, Any]:
        """Return the values for `template`. `address` is the address of this server."""

    def change_settings(self, account: Account, form: Mapping[str, str]) -> None:
        """Change the account's settings. Raises InvalidRequest if `form` contains wrong values.

        The exception lists all wrong values.
        """

    def describe_start(self, account: Account) -> Sequence[str]:
        """Return the lines that the server prints when it starts for the first time."""
