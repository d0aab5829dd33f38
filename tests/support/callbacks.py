"""Callbacks of providers as requests to Phonify, and what all ways to forge one have in common.

`callback_sites.py` has the gateways.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import ClassVar, NamedTuple

from tests.support.android_callbacks import SIGNING_KEY
from tests.support.app import KEY, basic
from tests.support.http_providers import CALLBACK_SECRET
from tests.support.twilio_service import TOKEN

OWN, PHONE = "+15005550006", "+14155552671"
OTHER_SECRETS = ("", KEY, "another secret", "f" * 32, SIGNING_KEY.upper(), TOKEN[:-1], CALLBACK_SECRET[1:])


class Call(NamedTuple):
    """A request to Phonify."""

    method: str
    path: str  # not percent-encoded; each character is a byte
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""


Forge = Callable[[Random, Call, datetime], Call]


def spoil(random: Random, data: bytes) -> bytes:
    """Return other bytes: a part of the given ones is replaced, removed or doubled."""
    odd = random.choice([b"", b"\0", b"%", b"&a=b", b"=", b"{", b"[" * 50, b"\xff", b"delivered", random.randbytes(4)])
    start, end = sorted(random.choices(range(len(data) + 1), k=2))
    spoilt = data[:start] + odd + data[random.choice([start, end]) :]
    return spoilt if spoilt != data else data + b"~"


def without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {one: value for one, value in headers.items() if one.lower() != name.lower()}


def show_api_key(random: Random, call: Call, now: datetime) -> Call:
    """Show the API key of the account in place of the provider's proof."""
    query = random.choice([call.query, f"{call.query}&api_key={KEY}"])
    return call._replace(query=query, headers={**call.headers, "Authorization": basic(KEY)})


def go_to_another_gateway(random: Random, call: Call, now: datetime) -> Call:
    _, _, name, rest = call.path.split("/", 3)
    others = {"android", "http", "twilio", "stub", "gateway", f"{name}x", name.upper(), f"{name}\0"} - {name}
    return call._replace(path=f"/gateways/{random.choice(sorted(others))}/{rest}")


class Site(ABC):
    """A gateway. `forgeries` are ways to change a callback so that the provider's proof is missing or wrong."""

    name: str
    settings: Mapping[str, str]
    forgeries: ClassVar[Mapping[str, Forge]]
    expires: ClassVar[bool] = False  # a callback that comes again after a day is forged

    @property
    def url_setting(self) -> str:
        """The name of the setting with the provider's address."""
        return f"{self.name.upper()}_URL"

    @abstractmethod
    def answer(self, url: str, body: bytes) -> tuple[int, str]:
        """Return the provider's answer to a message: it is taken."""

    @abstractmethod
    def write_receipt(self, id_: str, delivered: bool, now: datetime) -> Call:
        """Return a callback that reports a message: the provider has it, or it is delivered."""

    @abstractmethod
    def write_text(self, text: str, now: datetime) -> Call:
        """Return a callback with a text from a phone."""

    @abstractmethod
    def prove(self, call: Call, now: datetime) -> Call:
        """Return a callback with the proof that it comes from the provider."""

    def write_all(self, ids: Sequence[str], text: str, now: datetime) -> list[Call]:
        """Return callbacks about messages, and a text."""
        receipts = [self.write_receipt(id_, delivered, now) for id_ in ids for delivered in (False, True)]
        return [*receipts, self.write_text(text, now)]
