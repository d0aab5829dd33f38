"""Authentication with Twilio's credentials. The user name is a SID, and the password is a secret.

If the user name is an account SID, two passwords are possible: the account's auth token, or an API key of the account.
If the user name is a key SID, the password is the API key with this SID.
"""

from typing import Any

from flask import Response, g, request

from ...domain import accounts
from ...http.auth import is_basic, make_auth
from ...http.current import get_services
from ...http.faults import meet_rule
from ...http.rate_limit import take_request
from ...schemas.twilio import read_number_sid, write_account_sid
from ...storage.records import Account
from .errors import REALM, MissingResource, show_error


def find_account(sid: str, secret: str) -> Account | None:
    """Return the account that has these credentials. Returns None if the credentials are not valid."""
    number = read_number_sid(sid)
    if number is None or not secret or not is_basic(request.headers.get("Authorization", "")):
        return None
    services = get_services()
    if sid.startswith("SK"):
        known = accounts.find_key_id(services.database, secret) == number
        return services.keys.find_account(secret) if known else None
    account = services.fronts.find_account(number, secret) or services.keys.find_account(secret)
    return account if account is not None and account.id == number else None


auth = make_auth(REALM, find_account, show_error)


def take_account_sid(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Remove the account SID from the values in the path. `require_credentials` checks it.

    This is a `url_value_preprocessor`.
    """
    g.account_sid = (values or {}).pop("account_sid", "")


@auth.login_required  # type: ignore[untyped-decorator]
def require_credentials() -> Response | None:
    """Check that the credentials belong to the account whose SID is in the path.

    Then check the rate limit, and apply the rules of the sandbox. This is a `before_request` function.
    """
    account = auth.current_user()
    if account is None:  # OPTIONS has no account: Flask-HTTPAuth lets it pass
        return None
    sid = g.account_sid
    if read_number_sid(sid) is None or not sid.startswith("AC"):
        raise MissingResource
    if sid != write_account_sid(account.id):
        return show_error(401)
    take_request(account)
    meet_rule(account, sends_messages=request.endpoint == "twilio.messages.create_message")
    return None


def current_account() -> Account:
    """Return the account that has sent the current request."""
    account: Account = auth.current_user()
    return account
