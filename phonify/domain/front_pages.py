"""An interface for fronts. Such a front adds parts to the pages, and lines to the output of the first start."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..storage.records import Account, Message


class FrontPage(Protocol):
    """The parts that a front adds to the pages and to the output of the first start."""

    name: str
    template: str  # for the front's part of the settings page

    def describe_message(self, message: Message) -> Sequence[str]:
        """Return facts about a message, with the words of the front's API."""

    def describe_settings(self, account: Account, address: str) -> Mapping[str, Any]:
        """Return the values for the front's template. `address` is the address of this server."""

    def change_settings(self, account: Account, form: Mapping[str, str]) -> None:
        """Change the account's settings. Raises InvalidRequest with all errors of the form."""

    def describe_start(self, account: Account) -> Sequence[str]:
        """Return the lines that the first start of the server prints."""
