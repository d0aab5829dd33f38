"""Each request has an id, and its answer says it."""

import random
import re

from flask import Response, request

from ..request_id import HEADER, current_request_id, set_request_id

_FORM = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def begin_request() -> None:
    """Give the current request an id: the one that the client or the proxy has sent if it is valid, else a new one."""
    given = request.headers.get(HEADER)
    # An id is no secret, so the quick generator will do. Python seeds it anew in each process that is forked.
    set_request_id(given if given is not None and _FORM.fullmatch(given) else f"{random.getrandbits(64):016x}")


def add_request_id(response: Response) -> Response:
    """Say the id in the answer."""
    request_id = current_request_id()
    if request_id is not None:
        response.headers[HEADER] = request_id
    return response
