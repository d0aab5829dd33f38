"""A client for tests. It finds the messages that an app has sent to a Phonify server. It can also answer as the phone.

You can copy this file. It needs only the standard library. The stub's server has it at `/sandbox/phonify_client.py`.
"""

import base64
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypedDict, Unpack
from urllib.parse import urlencode, urlsplit

State = Literal["unconfirmed", "sent", "error"]
Direction = Literal["outbound", "inbound"]

_NAP = 0.02  # seconds
_LONGEST = 20.0  # seconds: the longest `wait` of one request; the answer may take this time in addition
_PAGE = 1_000
_PARTS = {"code": "a one-time code", "links": "a link"}


class PhonifyError(Exception):
    """The server gives no valid answer, or it refuses the request."""


class Criteria(TypedDict, total=False):
    """Criteria of messages. A criterion that is None or not given matches every message."""

    to: str | None
    origin: str | None
    contains: str | None  # a part of the body; upper and lower case are the same
    state: State | None
    direction: Direction | None


@dataclass(frozen=True, repr=False)
class Message:
    """A message as it was at the time of the request. Later changes are not shown."""

    id: str
    direction: Direction
    origin: str
    to: str
    body: str
    state: State
    errors: list[str]  # error types, such as `blocked_by_recipient`; empty unless the state is `error`
    created_at: str
    code: str | None = None  # the one-time code in the body
    links: list[str] = field(default_factory=list)  # the URLs in the body
    receipt: Literal["delivered", "undelivered"] | None = None  # the delivery receipt

    def __repr__(self) -> str:
        state = " ".join([self.state, *self.errors])
        return f"<Message {self.created_at[11:]} {self.origin} > {self.to} {state} {self.body!r}>"


@dataclass(frozen=True)
class _Wanted:
    """Criteria; `part` is an attribute of Message that must not be empty."""

    to: str | None = None
    origin: str | None = None
    contains: str | None = None
    state: State | None = None
    direction: Direction | None = "outbound"
    part: Literal["code", "links"] | None = None

    @property
    def arguments(self) -> dict[str, str]:
        """The criteria that the server checks. Only the server knows whether two numbers are the same."""
        given = {"direction": self.direction, "origin": self.origin, "to": self.to, "state": self.state}
        return {name: value for name, value in given.items() if value is not None}

    def list_misses(self, message: Message) -> list[str]:
        """Return the other criteria that a message does not match."""
        misses = []
        if self.contains is not None and self.contains.casefold() not in message.body.casefold():
            misses.append(f"without {self.contains!r}")
        if self.part is not None and not getattr(message, self.part):
            misses.append(f"without {_PARTS[self.part]}")
        if self.state not in (None, message.state):
            misses.append(f"not {self.state}")
        return misses

    def __str__(self) -> str:
        words = [f"{self.direction} message" if self.direction else "message"]
        contents = repr(self.contains) if self.contains is not None else None
        part = _PARTS[self.part] if self.part else None
        places = (("from", self.origin), ("to", self.to), ("with", contents), ("with", part), ("in state", self.state))
        return " ".join(words + [f"{word} {value}" for word, value in places if value is not None])


class Phonify:
    """An account on a server. It finds the messages of the app under test, and can answer as the phone.

    By default only messages from the app match. With `direction=None`, messages from phones match too. All methods
    raise ValueError for a wrong argument, and PhonifyError if the server can't be used.
    """

    _now, _sleep = staticmethod(time.monotonic), staticmethod(time.sleep)  # a test may replace those in `time`

    def __init__(self, url: str, api_key: str) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"{url!r} is not the URL of a server. Use for example http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        self.api_key = api_key
        self._returned: set[str] = set()

    @classmethod
    def connect(cls, url: str, key: str) -> Self:
        """Return a client of an account. This sends no request to the server."""
        return cls(url, key)

    def messages(self, **criteria: Unpack[Criteria]) -> list[Message]:
        """Return all messages that match, oldest first, without waiting."""
        wanted = _Wanted(**criteria)
        return [message for message in self._list(wanted.arguments) if not wanted.list_misses(message)]

    def wait_for(self, *, timeout: float = 5.0, **criteria: Unpack[Criteria]) -> Message:
        """Return the oldest message that matches. Waits for such a message up to `timeout` seconds.

        Existing messages count too. Messages that `wait_for`, `code` or `link` has already returned do not count. The
        returned message is mostly still `unconfirmed`. To wait for its outcome, pass a `state`. If no message matches
        in time, AssertionError lists the other messages.
        """
        __tracebackhide__ = True
        return self._wait_for(_Wanted(**criteria), timeout)

    def code(self, *, to: str | None = None, contains: str | None = None, timeout: float = 5.0) -> str:
        """Return the one-time code of the oldest message that has a code. Waits as `wait_for` does."""
        __tracebackhide__ = True
        return str(self._wait_for(_Wanted(to, contains=contains, part="code"), timeout).code)

    def link(self, *, to: str | None = None, contains: str | None = None, timeout: float = 5.0) -> str:
        """Return the first link of the oldest message that has a link. Waits as `wait_for` does."""
        __tracebackhide__ = True
        return self._wait_for(_Wanted(to, contains=contains, part="links"), timeout).links[0]

    def assert_none(self, *, within: float = 0.5, **criteria: Unpack[Criteria]) -> None:
        """Raise AssertionError if a message matches now or within the given seconds. Returned messages don't count."""
        __tracebackhide__ = True
        wanted = _Wanted(**criteria)
        found = self._find(wanted, within)
        if found is not None:
            raise AssertionError(f"an unwanted {wanted} arrived:\n  {found!r}")

    def reply(self, phone: Message | str, body: str, *, to: str | None = None) -> Message:
        """Send a message from a phone to the app. `phone` is a number, or a message that this phone got.

        By default the recipient is the sender of this message. For a number, it is the sender of the last message that
        the phone got, or the account's default sender.
        """
        if isinstance(phone, Message):
            outbound = phone.direction == "outbound"
            phone, answered = (phone.to, phone.origin) if outbound else (phone.origin, phone.to)
            to = to or answered
        arguments = {"from": phone, "body": body} | ({"to": to} if to else {})
        return _read(self._call("POST", "/sandbox/inbound", arguments)["message"])

    def clear(self, **criteria: Unpack[Criteria]) -> int:
        """Remove the messages that match, by default in both directions. Returns how many messages were removed."""
        either: Criteria = {"direction": None}
        wanted = _Wanted(**(either | criteria))
        q = {"q": wanted.contains} if wanted.contains is not None else {}
        return int(self._call("DELETE", "/sandbox/messages", {**wanted.arguments, **q})["removed"])

    def set_webhook(self, url: str) -> str:
        """Set the URL that gets the account's events. Returns the secret that signs the events."""
        return str(self._call("PUT", "/v1/webhook", {"url": url})["webhook"]["secret"])

    def run(self, name: str | None = None, ttl: int = 3600) -> "Run":
        """Begin a run, which is an account for one test. The server ends it after `ttl` seconds."""
        arguments = {"ttl": str(ttl)} | ({"name": name} if name is not None else {})
        return Run(self, self._call("POST", "/sandbox/runs", arguments)["run"])

    def _wait_for(self, wanted: _Wanted, timeout: float) -> Message:
        __tracebackhide__ = True
        found = self._find(wanted, timeout)
        if found is None:
            raise AssertionError(f"no {wanted} arrived within {timeout:g} s. {self._report(wanted)}")
        self._returned.add(found.id)
        return found

    def _find(self, wanted: _Wanted, seconds: float) -> Message | None:
        begun = self._now()
        while True:
            listed = self._list(wanted.arguments)
            for message in listed:
                if message.id not in self._returned and not wanted.list_misses(message):
                    return message
            remaining = seconds - (self._now() - begun)
            if remaining <= 0:
                return None
            self._wait_for_change(wanted, listed, min(remaining, _LONGEST))

    def _wait_for_change(self, wanted: _Wanted, listed: list[Message], seconds: float) -> None:
        """Wait until another message may match, at most the given seconds."""
        answer = {}
        # With `after`, the server would miss an older message that gets the wanted state.
        if wanted.state is None or not listed:
            after = {"after": listed[-1].id} if listed else {}
            arguments = {**wanted.arguments, **after, "limit": "1", "wait": f"{seconds:.3f}"}
            answer = self._call("GET", "/sandbox/messages", arguments, wait=seconds, also=429)
        if "messages" not in answer:  # there was no request, or too many requests wait already
            self._sleep(min(_NAP, seconds))

    def _list(self, arguments: dict[str, str]) -> list[Message]:
        """Return all messages that match the criteria of the server, oldest first."""
        page = self._list_page(arguments)
        older = self._list({**arguments, "before": page[-1].id}) if len(page) == _PAGE else []
        return older + page[::-1]

    def _list_page(self, arguments: dict[str, str], limit: int = _PAGE) -> list[Message]:
        answer = self._call("GET", "/sandbox/messages", {**arguments, "limit": str(limit)})
        return [_read(shown) for shown in answer["messages"]]

    def _report(self, wanted: _Wanted) -> str:
        """Return a list of the messages that arrived, and the reason why each does not match."""
        came = self._list_page({}, limit=50)[::-1]
        if not came:
            return "No message arrived. Does the app use the `url` and the `api_key` of this test?"
        words = {"direction": "not", "origin": "not from", "to": "not to"}
        matching = {
            f"{words[name]} {value}": {message.id for message in self._list_page({name: value})}
            for name, value in wanted.arguments.items()
            if name in words
        }
        misses = [
            [miss for miss in matching if message.id not in matching[miss]] + wanted.list_misses(message)
            for message in came
        ]
        lines, fewest = ["These messages arrived:"], min(map(len, misses))
        for message, missed in zip(came, misses, strict=True):
            closest = "closest, but " if len(missed) == fewest else ""
            lines.append(f"  {message!r} {closest}{', '.join(missed) or 'already returned'}")
        return "\n".join(lines)

    def _call(self, method: str, path: str, arguments: dict[str, str], *, wait: float = 0, also: int = 0) -> Any:
        """Return the answer to a request. `also` is a status that is not an error."""
        status, answer = self._request(method, path, urlencode(arguments), wait + _LONGEST)
        if status in (200, 201, also):
            return answer
        if status == 401:
            raise PhonifyError(f"the API key is not valid at {self.url}")
        texts = [_explain(fault, arguments) for fault in answer.get("errors", [])]
        if status == 400:
            raise ValueError("; ".join(texts))
        if status == 404:
            texts.append("The paths under /sandbox exist only with the stub gateway.")
        raise PhonifyError(f"{method} {self.url}{path} was answered with {status}. {' '.join(texts)}")

    def _request(self, method: str, path: str, query: str, timeout: float) -> tuple[int, Any]:
        parts, in_body = urlsplit(self.url), method in ("POST", "PUT")
        credentials = base64.b64encode(f"{self.api_key}:".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = make(parts.hostname or "", parts.port, timeout=timeout)
        try:
            target = parts.path + path if in_body else f"{parts.path}{path}?{query}"
            connection.request(method, target, query if in_body else None, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: not JSON
            raise PhonifyError(f"no valid answer from {self.url}: is Phonify running there? ({error})") from error
        finally:
            connection.close()


class Run(Phonify):
    """An account for one test. The end of a `with` block ends the run."""

    def __init__(self, owner: Phonify, shown: dict[str, str]) -> None:
        super().__init__(owner.url, shown["api_key"])
        self.id, self.expires_at = shown["id"], shown["expires_at"]
        self._owner = owner

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the run, and remove its messages and its key. Does nothing if the run has ended already."""
        self._owner._call("DELETE", f"/sandbox/runs/{self.id}", {}, also=404)  # noqa: SLF001 - our own class


def _read(shown: dict[str, Any]) -> Message:
    same = {name: shown[name] for name in ("id", "direction", "to", "body", "state", "created_at")}
    errors = [error["type"] for error in shown.get("errors", [])]
    code, links, receipt = shown.get("code"), shown.get("links", []), shown.get("receipt", {}).get("status")
    return Message(**same, origin=shown["origin"]["number"], errors=errors, code=code, links=links, receipt=receipt)


def _explain(fault: dict[str, str], arguments: dict[str, str]) -> str:
    param, text = fault.get("param"), fault["title"]
    if param in arguments and fault["type"] in ("invalid_msisdn", "invalid_originator"):
        text += f" {arguments[param]!r} is not a valid number."
    return f"{param}: {text}" if param is not None else text
