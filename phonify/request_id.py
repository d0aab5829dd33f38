"""The id of the current request. Its answer, its log lines and its messages have the same id."""

from contextvars import ContextVar

HEADER = "X-Request-Id"

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def set_request_id(request_id: str) -> None:
    """Set the id of the current request."""
    _request_id.set(request_id)


def current_request_id() -> str | None:
    """Return the id of the current request, or None outside of a request."""
    return _request_id.get()
