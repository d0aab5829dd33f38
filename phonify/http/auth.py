"""Authentication: the API key is the username of HTTP Basic, or the argument `api_key`."""

import re
from collections.abc import Callable
from typing import Any

from flask import request
from flask_httpauth import HTTPBasicAuth

from ..errors import Fault
from ..storage.records import Account
from .arguments import read_arguments
from .current import get_services
from .faults import meet_rule
from .rate_limit import take_request

_BASIC = re.compile(r"basic +[A-Za-z0-9+/]+={0,2}", re.IGNORECASE)


def is_basic(header: str) -> bool:
    """Return whether an Authorization header has the form of HTTP Basic.

    Flask-HTTPAuth itself accepts any scheme, and ignores characters that are not Base64.
    """
    return _BASIC.fullmatch(header) is not None


def make_auth(
    realm: str, find_account: Callable[[str, str], Account | None], refuse: Callable[[int], Any]
) -> HTTPBasicAuth:
    """Return an object that checks the HTTP Basic credentials of requests.

    `find_account` gets a user name and a password, and returns an account. If the credentials are not valid, `refuse`
    returns the answer. Flask-HTTPAuth adds the header WWW-Authenticate to this answer.
    """
    made = HTTPBasicAuth(realm=realm)
    made.verify_password(find_account)
    made.error_handler(refuse)
    return made


def find_account(key: str, _password: str) -> Account | None:
    """Return the account of a key.

    If the request has no Authorization header, this function reads the key from the argument `api_key`.

    Raises the same errors as `read_arguments`.
    """
    header = request.headers.get("Authorization")
    if header is None:
        argument = read_arguments().get("api_key")
        key = argument if isinstance(argument, str) else ""
    elif not is_basic(header):
        return None
    return get_services().keys.find_account(key) if key else None


def refuse_key(status: int) -> tuple[dict[str, Any], int]:
    """Return the answer to a request that has no valid key."""
    return {"errors": [Fault("unauthorized").to_dict()]}, status


auth = make_auth("Phonify", find_account, refuse_key)


@auth.login_required  # type: ignore[untyped-decorator]
def require_key_only() -> None:
    """Require a valid key. This is a `before_request` function."""


@auth.login_required  # type: ignore[untyped-decorator]
def require_key() -> None:
    """Require a valid key, count the request for the rate limit, and apply the rules of the sandbox.

    This is a `before_request` function.
    """
    account = auth.current_user()
    if account is not None:  # Flask-HTTPAuth accepts OPTIONS without a key, so there is no account
        take_request(account)
        meet_rule(account, sends_messages=request.endpoint == "v1.messages.send_message")


def current_account() -> Account:
    """Return the account that sent the current request. The API key in the request identifies the account."""
    account: Account = auth.current_user()
    return account
