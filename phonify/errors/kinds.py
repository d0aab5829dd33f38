"""What an error type is, and the kinds of errors."""

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """The kind of an error."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    REFUSED = "refused"
    NOT_FOUND = "not found"
    METHOD_NOT_ALLOWED = "method not allowed"
    CONFLICT = "conflict"
    TOO_LARGE = "too large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported media type"
    HEADERS_TOO_LARGE = "headers too large"
    TOO_MANY = "too many"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class ErrorType:
    """One row of the table. `type` never changes. `title` is for people."""

    type: str
    kind: Kind
    title: str
