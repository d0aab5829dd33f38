"""The rate limit is the number of requests that an account can send per minute. All processes share the count.

Answers have the headers of the IETF draft draft-ietf-httpapi-ratelimit-headers.
"""

from flask import Response, after_this_request

from ..errors import RateLimited
from ..storage.records import Account
from .current import get_services

WINDOW = 60  # seconds


def take_request(account: Account) -> None:
    """Count the current request if the account has a limit. Raises RateLimited if the request exceeds the limit.

    The headers of the answer show the number of remaining requests.
    """
    limit = account.rate_limit
    if limit is None:
        return
    services = get_services()
    minute, second = divmod(int(services.clock.now().timestamp()), WINDOW)
    used = services.keys.count_request(account, minute=minute, limit=limit)
    remaining, reset = limit - used if used is not None else 0, WINDOW - second

    @after_this_request
    def add_headers(response: Response) -> Response:
        response.headers["RateLimit-Policy"] = f'"default";q={limit};w={WINDOW}'
        response.headers["RateLimit"] = f'"default";r={remaining};t={reset}'
        return response

    if used is None:
        raise RateLimited(retry_after=reset)
