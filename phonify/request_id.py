"""The id of the current request, and the id of its key.

The id of a request is in its answer, in its log lines and in its messages.
"""

from contextvars import ContextVar

HEADER = "X-Request-Id"

# Outside of a request, both are None. A request without a key has no key id.
current_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
current_key_id: ContextVar[int | None] = ContextVar("key_id", default=None)
