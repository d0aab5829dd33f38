"""The id of a request: in its answer, in logs, and with the messages that it has stored until they are delivered."""

import random
import re

from flask import Response, g, request

HEADER = "X-Request-Id"
_FORM = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def begin_request() -> None:
    """Give the current request an id: the client's (or the proxy's) own where it is one, else a new one."""
    given = request.environ.get("HTTP_X_REQUEST_ID")
    # Not a secret: a number that is quick to have will do. Processes that were forked have others: Python sees to that
    # for this generator alone.
    g.request_id = given if given is not None and _FORM.fullmatch(given) else f"{random.getrandbits(64):016x}"


def current_request_id() -> str | None:
    """Return the id of the current request."""
    request_id: str | None = g.get("request_id")
    return request_id


def add_request_id(response: Response) -> Response:
    """Say the id in the answer."""
    request_id = current_request_id()
    if request_id is not None:
        response.headers[HEADER] = request_id
    return response
