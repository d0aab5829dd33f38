"""Each request has an id, which its answer has in a header."""

import random
import re

from flask import Response, request

from ..request_id import HEADER, current_request_id, set_request_id

_FORM = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def begin_request() -> None:
    """Give the current request an id: the one in the request's header if it is valid, else a new one."""
    given = request.headers.get(HEADER)
    # An id is not secret, so the quick generator is enough. Python seeds it anew after a fork.
    set_request_id(given if given is not None and _FORM.fullmatch(given) else f"{random.getrandbits(64):016x}")


def add_request_id(response: Response) -> Response:
    """Add the header with the id to the answer."""
    request_id = current_request_id()
    if request_id is not None:
        response.headers[HEADER] = request_id
    return response
