"""Requests a minute, for accounts that have a limit: the same over all processes.

The answers carry the headers of the IETF draft draft-ietf-httpapi-ratelimit-headers.
"""

from flask import Response, after_this_request

from ..domain.accounts import count_request
from ..errors import RateLimited
from ..services import get_runtime
from ..storage.records import Account

WINDOW = 60  # seconds


def take_request(account: Account) -> None:
    """Count the current request, of an account that has a limit; raise RateLimited where it is one too many.

    The answer says what is left.
    """
    limit = account.rate_limit
    if limit is None:
        return
    runtime = get_runtime()
    minute, second = divmod(int(runtime.clock.now().timestamp()), WINDOW)
    used = count_request(runtime.database, account, minute=minute, limit=limit)
    remaining, reset = limit - used if used is not None else 0, WINDOW - second

    @after_this_request
    def add_headers(response: Response) -> Response:
        response.headers["RateLimit-Policy"] = f'"default";q={limit};w={WINDOW}'
        response.headers["RateLimit"] = f'"default";r={remaining};t={reset}'
        return response

    if used is None:
        raise RateLimited(reset)
