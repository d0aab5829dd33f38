"""Who is asking: the API key as the username of HTTP Basic, or as the argument `api_key`."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, g, jsonify, request
from flask_httpauth import HTTPBasicAuth
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import UnsupportedMediaType

from ..errors import Fault, InvalidRequest
from ..runtime import get_runtime
from ..store import Account
from .arguments import read_arguments, read_query

F = TypeVar("F", bound=Callable[..., Any])


class KeyAuth(HTTPBasicAuth):  # type: ignore[misc]
    """HTTP Basic with the key as the username; without an Authorization header, the argument `api_key`."""

    def get_auth(self) -> Authorization | None:
        """Return the request's credentials. Where there is an Authorization header, it decides alone."""
        header = request.environ.get("HTTP_AUTHORIZATION")
        if header is not None:
            # What is not ASCII is no Base64, at which Werkzeug raises.
            given = Authorization.from_header(header) if header.isascii() else None
            return given if given is not None and given.type == "basic" else None
        key = _find_key_argument()
        return Authorization("basic", {"username": key, "password": ""}) if key else None

    def ensure_sync(self, f: F) -> F:
        """Return a function as it is: none of ours is a coroutine."""
        return f


auth = KeyAuth(realm="Phonify")


@auth.verify_password  # type: ignore[untyped-decorator]
def verify_key(key: str, _password: str) -> Account | None:
    """Return the account that a key belongs to."""
    return get_runtime().keys.find_account(key) if key else None


def _find_key_argument() -> str | None:
    try:
        key = read_arguments().get("api_key")
    except (InvalidRequest, UnsupportedMediaType):
        # A body that can't be read has no key in it, but its address may; the view then says what is wrong.
        key = _find_key_in_query()
    return key if isinstance(key, str) else None


def _find_key_in_query() -> object:
    try:
        return read_query().get("api_key")
    except InvalidRequest:
        return None


@auth.error_handler  # type: ignore[untyped-decorator]
def refuse(status: int) -> Response:
    """Answer in the API's form; Flask-HTTPAuth adds WWW-Authenticate."""
    response = jsonify(errors=[Fault("unauthorized").to_dict()])
    response.status_code = status
    return response


def find_account() -> Account | None:
    """Return the account whose key came with the current request, if a valid one did: for `before_request`.

    Not `login_required`: that lets every OPTIONS pass.
    """
    account: Account | None = auth.authenticate(auth.get_auth(), None)
    g.account = account
    return account


def refuse_key() -> Response:
    """Answer a request that came without a valid key."""
    refusal: Response = auth.auth_error_callback(401)
    return refusal


def current_account() -> Account:
    """Return the account that is asking."""
    account: Account = g.account
    return account
