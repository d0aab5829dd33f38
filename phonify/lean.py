"""Flask without what this app does not use: sessions, virtual hosts, coroutines, redirects to other spellings.

Each is a few steps on the way of every request, a quarter of them in all.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter
from werkzeug.utils import cached_property

from .api.json_provider import PlainJSONProvider

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

F = TypeVar("F", bound=Callable[..., Any])


def _decode(text: str) -> str:
    """Return a text as it was meant that WSGI hands over as bytes in disguise."""
    return text.encode("latin-1").decode(errors="replace")


class LeanRequest(Request):
    """A request that looks but once for what it belongs to."""

    @cached_property
    def blueprints(self) -> list[str]:
        """Return the names of the blueprint that it was routed to and of its parents; to be asked for after that."""
        return super().blueprints


class FinishedResponse(Response):
    """A response that goes out as the view made it: its headers are complete, Location included."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002 - of Werkzeug
        """Return the headers."""
        return self.headers

    def get_app_iter(self, environ: "WSGIEnvironment") -> Iterable[bytes]:
        """Return the body: as it is, where all of it is there and nothing is to be done at the end."""
        has_body = (
            environ["REQUEST_METHOD"] != "HEAD" and self.status_code >= 200 and self.status_code not in (204, 304)
        )
        match self.response:
            case [bytes()] if has_body and not self._on_close:
                return self.response
        return super().get_app_iter(environ)


class _NoSessions(SessionInterface):
    """Requests have no session of Flask's: what signs in to the inbox is a key in a cookie."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002 - of Flask
        """Return what can't be written to."""
        return self._none


class LeanFlask(Flask):
    """Flask with the above."""

    request_class = LeanRequest
    response_class = FinishedResponse
    json_provider_class = PlainJSONProvider
    session_interface = _NoSessions()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A redirect to the address with or without a slash would be HTML. (It comes too late for a `static_folder`.)
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what routes a request by its path and method alone, and makes addresses without a host.

        Flask's settings SERVER_NAME and TRUSTED_HOSTS have no effect.
        """
        if request is None:
            return None
        environ = request.environ
        return MapAdapter(
            self.url_map,
            server_name="",
            script_name=_decode(environ.get("SCRIPT_NAME") or "/"),
            subdomain="",
            url_scheme=environ["wsgi.url_scheme"],
            path_info=_decode(environ.get("PATH_INFO", "")),
            default_method=environ["REQUEST_METHOD"],
            query_args=environ.get("QUERY_STRING"),
        )

    def ensure_sync(self, func: F) -> F:
        """Return a function as it is: none of ours is a coroutine."""
        return func
