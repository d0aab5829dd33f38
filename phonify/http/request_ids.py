"""Each request has an id. A header of the answer shows this id."""

import random
import re

from flask import Response, request

from ..request_id import HEADER, current_key_id, current_request_id

_FORM = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def begin_request() -> None:
    """Read the id of the current request from its header. If the header has no valid id, make a new id."""
    given = request.headers.get(HEADER)
    # The id is not secret, so the quick random generator is enough. After a fork, Python gives it a new seed.
    valid = given is not None and _FORM.fullmatch(given)
    current_request_id.set(given if valid else f"{random.getrandbits(64):016x}")
    current_key_id.set(None)


def add_request_id(response: Response) -> Response:
    """Add a header to the answer. The header contains the request's id."""
    request_id = current_request_id.get()
    if request_id is not None:
        response.headers[HEADER] = request_id
    return response
