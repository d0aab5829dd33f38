"""The id of the current request, and the id of its key.

The answer to a request, its log lines and its messages have the id of the request.
"""

from contextvars import ContextVar

HEADER = "X-Request-Id"

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_key_id: ContextVar[int | None] = ContextVar("key_id", default=None)


def set_request_id(request_id: str) -> None:
    """Set the id of the current request. The request has no key yet."""
    _request_id.set(request_id)
    _key_id.set(None)


def current_request_id() -> str | None:
    """Return the id of the current request, or None outside of a request."""
    return _request_id.get()


def set_key_id(key_id: int) -> None:
    """Set the id of the current request's key."""
    _key_id.set(key_id)


def current_key_id() -> int | None:
    """Return the id of the current request's key. Returns None if there is no key or no request."""
    return _key_id.get()
