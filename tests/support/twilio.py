"""A client of the Twilio-compatible API for tests, which sends forms as an SDK does."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Flask
from werkzeug.test import TestResponse

from tests.support.app import KEY, basic
from tests.support.receivers import Received
from tests.support.twilio_spec import check_if_known

AC = "AC00000000000000000000000000000001"  # of the account `default`
ACCOUNT = f"/2010-04-01/Accounts/{AC}"
MESSAGES = f"{ACCOUNT}/Messages.json"
TOKEN = "0123456789abcdef0123456789abcdef"
MG = f"MG{'a' * 32}"
PHONE, OWN = "+14155552671", "+15005550006"


class TwilioApi:
    """A client with the credentials of an account, `default` if no other are given."""

    def __init__(self, app: Flask, user: str = AC, password: str = KEY) -> None:
        self.app = app
        self.user = user
        self.password = password
        self._client: Any = app.test_client()
        self._client.key = None

    @property
    def messages(self) -> str:
        """The path of the messages."""
        return f"/2010-04-01/Accounts/{self.user}/Messages.json"

    def call(self, method: str, path: str, pairs: Any = None, **options: Any) -> TestResponse:
        """Make a request; `pairs` are the parameters of a form."""
        if pairs is not None:
            options |= {
                "data": urlencode(pairs, doseq=True),
                "content_type": "application/x-www-form-urlencoded",
            }
        options.setdefault("headers", {"Authorization": basic(self.user, self.password)})
        response = self._client.open(path, method=method, **options)
        check_if_known(method, response.request.path, response.status_code, response.get_data())
        return response

    def create(self, **parameters: Any) -> dict[str, Any]:
        """Send a message; return the answer."""
        response = self.call("POST", self.messages, fill(parameters))
        assert response.status_code == 201, response.get_json()
        return dict(response.get_json())

    def refuse(self, **parameters: Any) -> tuple[int, int, str]:
        """Send what is to be refused; return the HTTP status, the code and the message."""
        return read_error(self.call("POST", self.messages, fill(parameters)))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Retrieve something; `path` may be that of a message."""
        response = self.call("GET", path, query_string=urlencode(query) if query else None)
        assert response.status_code == 200, response.get_json()
        return dict(response.get_json())

    def list(self, **query: Any) -> dict[str, Any]:
        """Return a page of messages."""
        return self.get(self.messages, **query)

    def fetch_token(self) -> str:
        """Return the auth token of the account."""
        return str(self.get(f"/2010-04-01/Accounts/{self.user}.json")["auth_token"])


def fill(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a message: those that are not given are good ones, and None leaves one out."""
    filled = {"To": PHONE, "From": OWN, "Body": "Hello", **parameters}
    return {name: value for name, value in filled.items() if value is not None}


def read_error(response: TestResponse) -> tuple[int, int, str]:
    """Return HTTP status, code and message of an error, after a look at the form that all errors have."""
    error = response.get_json()
    assert list(error) == ["code", "message", "more_info", "status"]
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{error['code']}"
    assert error["status"] == response.status_code
    return error["status"], error["code"], error["message"]


def read_form(received: Received) -> dict[str, str]:
    """Return the parameters of a request to an app: of its form, or of its query."""
    encoded = received.body.decode() or received.line.split()[1].partition("?")[2]
    pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def list_statuses(received: list[Received]) -> list[str]:
    """Return the statuses that were told, in order."""
    return [read_form(one)["MessageStatus"] for one in received]
