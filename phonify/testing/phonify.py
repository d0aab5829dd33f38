"""An account on a server for a test: the messages that its app has sent, and the phones that got them."""

import time
from dataclasses import dataclass
from typing import get_args

from ..errors import InvalidRequest
from ..schemas.requests import InboundSchema, load
from ..services import Services
from ..sms.numbers import parse_originator
from ..sms.one_time_codes import find_code
from ..storage.records import Account, Criteria, Direction, State
from ..storage.records import Message as StoredMessage

TIMEOUT = 5.0  # seconds
NAP = 0.01
_PAGE = 1_000
_MOST_SHOWN = 50
_INBOUND = InboundSchema()


@dataclass(frozen=True, repr=False)
class Message:
    """A message, in the state that it had when it was read."""

    id: str
    direction: Direction
    origin: str
    to: str
    body: str
    state: State
    errors: list[str]  # their types, such as `blocked_by_recipient`; empty except in state `error`
    created_at: str

    def __repr__(self) -> str:
        state = " ".join([self.state, *self.errors])
        return f"<Message {self.created_at[11:]} {self.origin} > {self.to} {state} {self.body!r}>"


@dataclass(frozen=True)
class _Wanted:
    """The criteria of a message. None matches everything."""

    to: str | None
    origin: str | None
    contains: str | None
    state: State | None
    direction: Direction | None
    with_code: bool = False

    def list_misses(self, message: Message) -> list[str]:
        """Return the criteria that a message does not match."""
        misses = []
        if self.direction not in (None, message.direction):
            misses.append(f"not {self.direction}")
        if self.origin not in (None, message.origin):
            misses.append(f"not from {self.origin}")
        if self.to not in (None, message.to):
            misses.append(f"not to {self.to}")
        if self.contains is not None and self.contains.casefold() not in message.body.casefold():
            misses.append(f"without {self.contains!r}")
        if self.with_code and find_code(message.body) is None:
            misses.append("without a one-time code")
        if self.state not in (None, message.state):
            misses.append(f"not {self.state}")
        return misses

    def __str__(self) -> str:
        return " ".join(
            [
                *filter(None, (self.direction, "message")),
                *([f"from {self.origin}"] if self.origin is not None else []),
                *([f"to {self.to}"] if self.to is not None else []),
                *([f"with {self.contains!r}"] if self.contains is not None else []),
                *(["with a one-time code"] if self.with_code else []),
                *([f"in state {self.state}"] if self.state is not None else []),
            ]
        )


def _want(
    to: str | None, origin: str | None, contains: str | None, state: State | None, direction: Direction | None
) -> _Wanted:
    for given, choices in ((state, (None, *get_args(State))), (direction, (None, *get_args(Direction)))):
        if given not in choices:
            raise ValueError(f"{given!r} is not one of {', '.join(filter(None, choices))}")
    return _Wanted(_read_number(to), _read_number(origin), contains, state, direction)


class Phonify:
    """An account on a server for one test. It finds the messages of the app under test, and can answer as the phone.

    `to`, `origin`, `contains`, `state` and `direction` choose messages. `contains` matches anywhere in the body and
    ignores case. By default only messages from the app match; with `direction=None` messages from phones match too.
    """

    def __init__(self, services: Services, account: Account, *, url: str, api_key: str) -> None:
        self.url = url
        self.api_key = api_key
        self._services = services
        self._account = account
        self._returned: set[str] = set()

    def messages(
        self,
        *,
        to: str | None = None,
        origin: str | None = None,
        contains: str | None = None,
        state: State | None = None,
        direction: Direction | None = "outbound",
    ) -> list[Message]:
        """Return all messages that match, oldest first, without waiting."""
        wanted = _want(to, origin, contains, state, direction)
        return [message for message in self._list() if not wanted.list_misses(message)]

    def wait_for(
        self,
        *,
        to: str | None = None,
        origin: str | None = None,
        contains: str | None = None,
        state: State | None = None,
        direction: Direction | None = "outbound",
        timeout: float = TIMEOUT,
    ) -> Message:
        """Return the oldest message that matches and was not returned before; wait for it up to `timeout` seconds.

        Messages that exist already count too. A message that an earlier `wait_for` or `code` has returned does not
        count, so two calls return two messages. A message is found as soon as it is accepted, mostly while it is
        `unconfirmed`: pass a `state` to wait for its outcome. If no message matches in time, AssertionError lists the
        other messages.
        """
        __tracebackhide__ = True
        wanted = _want(to, origin, contains, state, direction)
        return self._wait_for(wanted, timeout)

    def code(self, *, to: str | None = None, contains: str | None = None, timeout: float = TIMEOUT) -> str:
        """Return the one-time code of the oldest message that has one; wait for it as `wait_for` does."""
        __tracebackhide__ = True
        message = self._wait_for(_Wanted(_read_number(to), None, contains, None, "outbound", with_code=True), timeout)
        found = find_code(message.body)
        assert found is not None  # noqa: S101 - it was wanted
        return found.code

    def assert_none(
        self,
        *,
        to: str | None = None,
        origin: str | None = None,
        contains: str | None = None,
        state: State | None = None,
        direction: Direction | None = "outbound",
        within: float = 0.5,
    ) -> None:
        """Raise AssertionError if a message matches, or if one comes within the given seconds.

        Messages that `wait_for` or `code` has returned do not count.
        """
        __tracebackhide__ = True
        wanted = _want(to, origin, contains, state, direction)
        found = self._find(wanted, within)
        if found is not None:
            raise AssertionError(f"unwanted {wanted} has come:\n  {found!r}")

    def reply(self, phone: Message | str, body: str, *, to: str | None = None) -> Message:
        """Send a message from a phone to the app. The phone is a number, or the recipient of a message.

        Without `to`, it goes to the sender of that message, or of the last message that the phone got, or else to the
        account's own number. Raises ValueError if a phone can't send it.
        """
        if isinstance(phone, Message):
            outbound = phone.direction == "outbound"
            number, answered = (phone.to, phone.origin) if outbound else (phone.origin, phone.to)
        else:
            got = self.messages(to=phone)
            number, answered = phone, got[-1].origin if got else self._services.sending.default_origin(self._account)
        try:
            arguments = load(_INBOUND, {"from": number, "to": to or answered, "body": body})
        except InvalidRequest as error:
            raise ValueError(_explain(error)) from error
        return _show(self._services.receiving.receive(self._account, **arguments))

    def set_webhook(self, url: str) -> str:
        """Set the URL that the account's events are posted to; return the secret that signs them.

        Raises ValueError if it can't be posted to.
        """
        try:
            return self._services.webhooks.set_url(self._account, url).secret
        except InvalidRequest as error:
            raise ValueError(_explain(error)) from error

    def _wait_for(self, wanted: _Wanted, timeout: float) -> Message:
        __tracebackhide__ = True
        found = self._find(wanted, timeout)
        if found is None:
            raise AssertionError(f"no {wanted} came within {timeout:g} s. {self._report(wanted)}")
        self._returned.add(found.id)
        return found

    def _find(self, wanted: _Wanted, seconds: float) -> Message | None:
        watcher = self._services.database.watch()
        # The time is counted in naps, because the test may have stopped the clock.
        for nap in range(round(seconds / NAP) + 1):
            if nap:
                time.sleep(NAP)
            if nap and not watcher.wait(0):
                continue
            for message in self._list():
                if message.id not in self._returned and not wanted.list_misses(message):
                    return message
        return None

    def _list(self) -> list[Message]:
        """Return all messages of the account, oldest first."""
        found: list[StoredMessage] = []
        while True:
            criteria = Criteria(before=found[-1].id if found else None)
            page = self._services.sending.find_all(self._account, criteria, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return [_show(message) for message in reversed(found)]

    def _report(self, wanted: _Wanted) -> str:
        """Return the messages that did arrive, and why none of them matches."""
        misses = [(message, wanted.list_misses(message)) for message in self._list()[-_MOST_SHOWN:]]
        if not misses:
            return "Nothing came at all: does the app use the `url` and `api_key` of this test?"
        fewest = min(len(missed) for _, missed in misses)
        lines = []
        for message, missed in misses:
            nearly = "nearly: " if len(missed) == fewest else ""
            lines.append(f"  {message!r} {nearly}{', '.join(missed) or 'returned before'}")
        return "\n".join(["What did come:", *lines])


def _show(message: StoredMessage) -> Message:
    return Message(
        id=message.id,
        direction=message.direction,
        origin=message.origin_number,
        to=message.to_number,
        body=message.body,
        state=message.state,
        errors=[message.error_type] if message.error_type else [],
        created_at=message.created_at,
    )


def _explain(error: InvalidRequest) -> str:
    return "; ".join(f"{fault.param}: {fault.title}" for fault in error.faults)


def _read_number(text: str | None) -> str | None:
    """Return a number in the form that messages have; raise ValueError for anything else, which would match nothing."""
    if text is None:
        return None
    try:
        return parse_originator(text).number
    except ValueError as error:
        raise ValueError(
            f"{text!r} is not a valid number. Use E.164 with the plus sign, for example +14560000000"
        ) from error
