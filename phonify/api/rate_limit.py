"""Requests a minute, for accounts that have a limit: the same over all processes.

The answers carry the headers of the IETF draft draft-ietf-httpapi-ratelimit-headers.
"""

from flask import Response, g

from ..errors import RateLimited
from ..runtime import get_runtime
from ..store import take_request as count_request
from .auth import current_account

WINDOW = 60  # seconds


def take_request() -> None:
    """Count the current request, of an account that has a limit; raise RateLimited where it is one too many."""
    account = current_account()
    limit = account.rate_limit
    if limit is None:
        return
    runtime = get_runtime()
    minute, second = divmod(int(runtime.clock.now().timestamp()), WINDOW)
    used = runtime.database.write_unsynced(
        lambda connection: count_request(connection, account_id=account.id, minute=minute, limit=limit)
    )
    g.rate = (limit, limit - used if used is not None else 0, WINDOW - second)
    if used is None:
        raise RateLimited(WINDOW - second)


def add_rate_headers(response: Response) -> Response:
    """Say in an answer what is left."""
    if "rate" in g:
        limit, remaining, reset = g.rate
        response.headers["RateLimit-Policy"] = f'"default";q={limit};w={WINDOW}'
        response.headers["RateLimit"] = f'"default";r={remaining};t={reset}'
    return response
