"""Adds parts to the inbox and to the settings page. These parts show data of the Twilio-compatible API."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from ...domain.fronts import Fronts, TokenIsSet
from ...domain.rules import Rules
from ...schemas.front_requests import FrontSettingsSchema
from ...schemas.requests import load
from ...schemas.twilio import choose_status, write_account_sid, write_message_sid
from ...storage.records import Account, Message
from .sdks import list_sdk_lines


class TwilioPage:
    """Prepares the Twilio data that the pages show. Changes the Twilio settings if a user saves a form."""

    name = "twilio"
    template = "twilio/settings.html"

    def __init__(self, fronts: Fronts, rules: Rules) -> None:
        self._fronts = fronts
        self._rules = rules

    def describe_message(self, message: Message) -> Sequence[str]:
        """Return facts about a message, such as the SID, the status and the callback URLs."""
        kept = self._fronts.find_message(message)
        status = choose_status(message, simulated=self._rules.is_delivery_simulated(message))
        facts = [write_message_sid(message, kept), status.status]
        if status.code is not None:
            facts.append(f"error {status.code}: {status.meaning}")
        for url in (kept.status_callback or "").split():
            warning = " (Twilio refuses a host with an underscore)" if "_" in (urlsplit(url).hostname or "") else ""
            facts.append(f"callback {url}{warning}")
        if kept.service_sid is not None:
            facts.append(f"service {kept.service_sid}")
        facts += [f"media {url}" for url in kept.media]
        facts += [f"{name}={value}" for name, value in kept.parameters.items()]
        if kept.feedback is not None:
            facts.append(f"feedback {kept.feedback}")
        return facts

    def describe_settings(self, account: Account, address: str) -> Mapping[str, Any]:
        """Return the data of the settings page.

        The data are the credentials, the inbound URLs and code examples. There is one code example for each SDK.
        """
        return {
            "twilio_sid": write_account_sid(account.id),
            "twilio": self._fronts.find(account),
            "twilio_token_is_set": self._fronts.is_token_set(account),
            "twilio_sdks": list_sdk_lines(address),
        }

    def change_settings(self, account: Account, form: Mapping[str, str]) -> None:
        """Set the inbound URLs, or make a new auth token."""
        if form.get("action") == "rotate":
            with suppress(TokenIsSet):  # the page says that the token is set, and has no button
                self._fronts.rotate_token(account)
            return
        given = {name: text.strip() for name, text in form.items()}
        self._fronts.configure(account, load(FrontSettingsSchema(), given))

    def describe_start(self, account: Account) -> Sequence[str]:
        """Return the credentials of an account."""
        token = self._fronts.ensure_account(account).auth_token
        return [f"For an app that uses Twilio: account SID {write_account_sid(account.id)}, auth token {token}\n"]
