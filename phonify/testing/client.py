"""A client for tests. It finds the messages that an app has sent to a Phonify server. It can also reply from a phone.

It needs only the standard library. A server with the stub gateway sends it as one file: `/sandbox/phonify_client.py`.
"""

import asyncio
import base64
import contextlib
import http.client
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, Self, TypedDict, TypeVar, Unpack
from urllib.parse import urlencode, urlsplit

from .clock import Clock
from .failure import explain_error, refuse_unknown, write_failure
from .message import Criteria, Direction, Message, State, read_message
from .rules import ENDS, Outcome, OutcomeSettings, RuleCalls

_Arguments = Mapping[str, object]  # None: not given
_P = ParamSpec("_P")
_T = TypeVar("_T")

__tracebackhide__ = True  # pytest then shows the line of the test
_LONGEST = 20.0  # seconds: the longest `wait`; the time limit of a request is `wait` plus this value
_NAP, _PAGE = 0.02, 1_000  # _NAP: seconds between two requests; _PAGE: messages in one answer
_THREADS = ThreadPoolExecutor(64, "phonify")  # asyncio's own threads are few, and the app may need them
_BLOCKED = "This call blocked the event loop. If your app runs in this event loop, await a method such as `code_async`."
_PARTS = {"code": "a one-time code", "links": "a link"}


class PhonifyError(Exception):
    """The server gives no valid answer, or it refuses the request."""


class TwilioSettings(TypedDict, total=False):
    """A run can have these settings if the app uses Twilio. All URLs belong to the app."""

    auth_token: str | None  # a token that the app knows already
    inbound_url: str | None  # gets received messages
    inbound_method: Literal["GET", "POST"] | None
    fallback_url: str | None  # is used if `inbound_url` fails
    fallback_method: Literal["GET", "POST"] | None


@dataclass(frozen=True)
class _Wanted:
    """Criteria for messages. `part` is the name of an attribute of `Message`. This attribute must not be empty."""

    to: str | None = None
    origin: str | None = None
    contains: str | None = None
    state: State | None = None
    direction: Direction | None = "outbound"
    part: Literal["", "code", "links"] = ""

    @classmethod
    def read(cls, function: str, criteria: Criteria, *options: str) -> Self:
        """Return the criteria. `function` is the name of the method, and `options` are its other arguments."""
        refuse_unknown(function, criteria, [*Criteria.__annotations__, *options])
        return cls(**criteria)

    @property
    def arguments(self) -> dict[str, object]:
        """The criteria that the server checks. The client can't compare two spellings of a phone number."""
        return {"direction": self.direction, "origin": self.origin, "to": self.to, "state": self.state}

    def list_misses(self, message: Message) -> list[str]:
        """Describe each difference between a message and the criteria. The server has already checked `arguments`."""
        matching = {
            f"without {self.contains!r}": (self.contains or "").casefold() in message.body.casefold(),
            f"without {_PARTS.get(self.part)}": not self.part or bool(getattr(message, self.part)),
            f"not {self.state}": self.state in (None, message.state),
        }
        return [miss for miss, matches in matching.items() if not matches]

    def __str__(self) -> str:
        words = [f"{self.direction} message" if self.direction else "message"]
        contents, part = repr(self.contains) if self.contains is not None else None, _PARTS.get(self.part)
        places = (("from", self.origin), ("to", self.to), ("with", contents), ("with", part), ("in state", self.state))
        return " ".join(words + [f"{word} {value}" for word, value in places if value is not None])


def _awaitable(wait: Callable[_P, _T]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    async def wait_in_thread(*args: _P.args, **kwargs: _P.kwargs) -> _T:  # so the event loop is not blocked
        try:
            return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: wait(*args, **kwargs))
        except AssertionError as error:
            raise error.with_traceback(None)  # noqa: B904 - the error itself, without the lines of the thread

    return wait_in_thread


class Phonify(RuleCalls):
    """An account on a server. It finds the messages of the app under test, and can reply from a phone.

    By default, the methods find only messages from the app. With `direction=None`, they find messages from the app and
    from phones. If an argument is wrong, the methods raise ValueError. If the server does not answer, refuses a request
    or gives a wrong answer, the methods raise PhonifyError.
    """

    _now, _sleep = staticmethod(time.monotonic), staticmethod(time.sleep)  # a test can replace the functions in `time`

    def __init__(self, url: str, api_key: str) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"{url!r} is not the URL of a server. Use for example http://127.0.0.1:8000")
        self.url, self.api_key = url.rstrip("/"), api_key
        self._returned: dict[str, object] = {}  # for each message id: the call that returned the message
        self._begun, self.clock = self._now(), Clock(self._call)

    @classmethod
    def connect(cls, url: str, key: str) -> Self:
        """Return a client for an account. Sends no request to the server."""
        return cls(url, key)

    def messages(self, **criteria: Unpack[Criteria]) -> list[Message]:
        """Return all messages that match, oldest first. Does not wait."""
        wanted = _Wanted.read("messages", criteria)
        return [message for message in self._list(wanted.arguments) if not wanted.list_misses(message)]

    def wait_for(self, *, timeout: float = 5.0, **criteria: Unpack[Criteria]) -> Message:
        """Return the oldest message that matches. Waits for such a message up to `timeout` seconds.

        The message can be older than the call. The method ignores messages that earlier calls of `wait_for`, `code` or
        `link` have found. Most messages are `unconfirmed` at first. To wait for an outcome, pass a `state`. If no
        message matches in time, the method raises an AssertionError with a list of the latest messages.
        """
        return self._wait_for(_Wanted.read("wait_for", criteria, "timeout"), timeout)

    def code(self, *, to: str | None = None, contains: str | None = None, timeout: float = 5.0) -> str:
        """Return the one-time code of the oldest message that has a code. Waits in the same way as `wait_for`."""
        return str(self._wait_for(_Wanted(to, contains=contains, part="code"), timeout).code)

    def link(self, *, to: str | None = None, contains: str | None = None, timeout: float = 5.0) -> str:
        """Return the first link of the oldest message that has a link. Waits in the same way as `wait_for`."""
        return self._wait_for(_Wanted(to, contains=contains, part="links"), timeout).links[0]

    def assert_none(self, *, within: float = 0.5, **criteria: Unpack[Criteria]) -> None:
        """Raise AssertionError if a message matches. Waits up to `within` seconds for such a message.

        The method ignores messages that `wait_for`, `code` or `link` has already returned.
        """
        wanted = _Wanted.read("assert_none", criteria, "within")
        if found := self._find(wanted, within, claim=False):
            raise AssertionError(f"an unwanted {wanted} arrived:\n  {found!r}")

    wait_for_async, code_async = _awaitable(wait_for), _awaitable(code)  # the event loop goes on
    link_async, assert_none_async = _awaitable(link), _awaitable(assert_none)

    def reply(self, phone: Message | str, body: str, *, to: str | None = None) -> Message:
        """Send a message from a phone to the app. `phone` is a phone number or a `Message` object.

        A `Message` object contains two numbers: the phone's number and the app's number. The reply uses both numbers.
        If `phone` is a phone number, the reply goes to the sender of the last message to this phone. If there is no
        such message, the reply goes to the account's default sender. If you pass `to`, the reply goes to this number.
        """
        if isinstance(phone, Message):
            outbound = phone.direction == "outbound"
            phone, answered = (phone.to, phone.origin) if outbound else (phone.origin, phone.to)
            to = to or answered
        return read_message(self._call("POST", "/sandbox/inbound", {"from": phone, "to": to, "body": body})["message"])

    def clear(self, **criteria: Unpack[Criteria]) -> int:
        """Remove the messages that match. By default, both directions match. Returns how many were removed."""
        wanted = _Wanted.read("clear", {"direction": None, **criteria})
        return int(self._call("DELETE", "/sandbox/messages", {**wanted.arguments, "q": wanted.contains})["removed"])

    def force(
        self, message: Message | str, outcome: Outcome, *, timeout: float = 5.0, **settings: Unpack[OutcomeSettings]
    ) -> Message:
        """Choose what the stub gateway does with one message. The state of this message must be `unconfirmed`.

        `message` is a `Message` object or the id of a message. Returns the message. Waits up to `timeout` seconds until
        the message has the outcome. The method does not wait for the outcomes `delayed`, `unavailable` and
        `unconfirmed`. It does not wait for a reply or for a delayed receipt.
        """
        message_id, begun = message if isinstance(message, str) else message.id, self._now()
        path = f"/sandbox/messages/{message_id}/outcome"
        recipient = self._call("POST", path, {"outcome": outcome, **settings})["message"]["to"]
        receipt = outcome if outcome in ("delivered", "undelivered") and not settings.get("seconds") else None
        while True:
            found = [one for one in self._list({"to": recipient}) if one.id == message_id]
            for one in found:
                if one.state == ENDS.get(outcome, one.state) and receipt in (None, one.receipt):
                    return one
            if self._now() - begun >= timeout:
                raise AssertionError(f"the message did not become {outcome} within {timeout:g} s: {found or 'removed'}")
            self._sleep(_NAP)

    def set_webhook(self, url: str) -> str:
        """Set the URL that gets the account's events. Returns the secret that signs the events."""
        return str(self._call("PUT", "/v1/webhook", {"url": url})["webhook"]["secret"])

    def run(self, name: str | None = None, ttl: int = 3600, **twilio: Unpack[TwilioSettings]) -> "Run":
        """Begin a run. A run is an account for one test. The server ends the run after `ttl` seconds."""
        refuse_unknown("run", twilio, ["name", "ttl", *TwilioSettings.__annotations__])
        return Run(self, self._call("POST", "/sandbox/runs", {"name": name, "ttl": ttl, **twilio})["run"])

    def _wait_for(self, wanted: _Wanted, timeout: float) -> Message:
        if found := self._find(wanted, timeout, claim=True):
            return found
        lines = [f"no {wanted} arrived within {timeout:g} s. {self._report(wanted)}"]
        with contextlib.suppress(RuntimeError):  # this thread runs no event loop
            asyncio.get_running_loop()
            lines.append(_BLOCKED)
        raise AssertionError("\n".join(lines))

    def _find(self, wanted: _Wanted, seconds: float, *, claim: bool) -> Message | None:
        """Return the first message that matches. If `claim` is true, later calls ignore this message."""
        begun, this = self._now(), object()
        while True:
            listed = self._list(wanted.arguments)
            for message in listed:
                matches = message.id not in self._returned and not wanted.list_misses(message)
                if matches and (not claim or self._returned.setdefault(message.id, this) is this):
                    return message
            if (remaining := seconds - (self._now() - begun)) <= 0:
                return None
            self._wait_for_change(wanted, listed, min(remaining, _LONGEST))

    def _wait_for_change(self, wanted: _Wanted, listed: list[Message], seconds: float) -> None:
        """Wait for a new message or a new state, for at most `seconds` seconds."""
        answer = {}
        # An older message can get the wanted state later. A request with `after` does not find such a message.
        if wanted.state is None or not listed:
            after = {"after": listed[-1].id if listed else None, "limit": 1, "wait": f"{seconds:.3f}"}
            answer = self._call("GET", "/sandbox/messages", wanted.arguments | after, wait=seconds, accepted=429)
        if "messages" not in answer:  # no request was sent, or the answer was 429 (too many requests)
            self._sleep(min(_NAP, seconds))

    def _list(self, arguments: _Arguments, limit: int | None = None) -> list[Message]:
        """Return the messages that match, oldest first. If `limit` is given, return only the newest messages."""
        answer = self._call("GET", "/sandbox/messages", {**arguments, "limit": limit or _PAGE})
        page = [read_message(shown) for shown in reversed(answer["messages"])]
        older = self._list({**arguments, "before": page[0].id}) if limit is None and len(page) == _PAGE else []
        return older + page

    def _report(self, wanted: _Wanted) -> str:
        """Describe the messages that arrived, the reasons why they do not match, and other problems."""
        came = self._list({}, limit=50)
        words = {"direction": "not", "origin": "not from", "to": "not to"}
        matching = {
            f"{words[name]} {value}": {message.id for message in self._list({name: value}, limit=_PAGE)}
            for name, value in wanted.arguments.items()
            if name in words and value is not None
        }
        misses = [[miss for miss in matching if one.id not in matching[miss]] + wanted.list_misses(one) for one in came]
        problems = self._call("GET", "/sandbox/problems", {}, accepted=404).get("problems", [])
        return write_failure(came, misses, problems, seconds=self._now() - self._begun + self.clock.moved)

    def _call(self, method: str, path: str, arguments: _Arguments, *, wait: float = 0, accepted: int = 0) -> Any:
        """Return the answer if its HTTP status is 200, 201 or `accepted`. Otherwise, raise an error."""
        given = {name: value for name, value in arguments.items() if value is not None}
        status, answer = self._request(method, path, urlencode(given), wait + _LONGEST)
        if status in (200, 201, accepted):
            return answer
        if status == 401:
            raise PhonifyError(f"the API key is not valid at {self.url}")
        texts = [explain_error(error, given) for error in answer.get("errors", [])]
        if status == 400:
            raise ValueError("; ".join(texts))
        if status == 404:
            texts.append("Only a server with the stub gateway has paths under /sandbox.")
        raise PhonifyError(f"{method} {self.url}{path} was answered with {status}. {' '.join(texts)}")

    def _request(self, method: str, path: str, query: str, timeout: float) -> tuple[int, Any]:
        parts, in_body = urlsplit(self.url), method in ("POST", "PUT")
        credentials = base64.b64encode(f"{self.api_key}:".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        target = parts.path + path if in_body else f"{parts.path}{path}?{query}"
        with contextlib.closing(make(parts.hostname or "", parts.port, timeout=timeout)) as connection:
            try:
                connection.request(method, target, query if in_body else None, headers)
                response = connection.getresponse()
                return response.status, json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: not JSON
                raise PhonifyError(f"no valid answer from {self.url}: is Phonify running there? ({error})") from error


class Run(Phonify, contextlib.AbstractContextManager["Run"]):
    """An account for one test. When Python leaves the `with` block, the run ends.

    An app that uses Twilio needs `account_sid` and `auth_token`. Its Twilio client needs `url` as the base URL.
    """

    def __init__(self, owner: Phonify, shown: dict[str, Any]) -> None:
        super().__init__(owner.url, shown["api_key"])
        self._owner, self.id, self.expires_at, self.clock = owner, shown["id"], shown["expires_at"], owner.clock
        self.account_sid, self.auth_token = shown["twilio"]["account_sid"], shown["twilio"]["auth_token"]

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the run, and remove its messages and its key. Does nothing if the run has ended already."""
        self._owner._call("DELETE", f"/sandbox/runs/{self.id}", {}, accepted=404)  # noqa: SLF001 - our own class
