"""The sessions of the web pages. The module also protects the pages from requests that other sites send.

Users sign in with a key or with a link. A cookie contains the session's token. After a sign-in with a key, the cookie
also contains this key. Pages can show commands that contain the key. Requests that change something must come from a
page of this server. The header Sec-Fetch-Site or Origin shows where a request comes from. No site can show these pages
in a frame. The browser runs only scripts from this server.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, HTTPException

from ..domain.sessions import SESSION_AGE
from ..errors import Fault, InvalidRequest, PhonifyError, RequestRefused, fault_for_status
from ..http.current import get_services
from ..http.errors import STATUSES
from ..logs import escape_controls, mask_keys
from ..storage.records import Account
from .rendering import template_context

logger = logging.getLogger(__name__)

_SAFE = {"GET", "HEAD"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

bp = Blueprint("session", __name__, url_prefix="/inbox", static_folder="static", template_folder="templates")


def protect(blueprint: Blueprint) -> None:
    """Protect the views of a blueprint. If a view fails, show an error page.

    The views refuse all requests from other sites, except GET and HEAD requests.
    """
    blueprint.before_request(refuse_other_sites)
    blueprint.after_request(add_headers)
    blueprint.register_error_handler(PhonifyError, show_error)
    blueprint.register_error_handler(HTTPException, show_http_exception)
    blueprint.register_error_handler(Exception, show_unexpected_error)


def guard(blueprint: Blueprint) -> None:
    """Protect a blueprint, and require a session for its pages."""
    protect(blueprint)
    blueprint.before_request(require_session)
    blueprint.context_processor(template_context)


def refuse_other_sites() -> ResponseReturnValue | None:
    """Refuse a request from another site, except a GET or HEAD request."""
    if request.method in _SAFE or comes_from_here():
        return None
    return _show_error_page("Refused", "Another site sent this request.", 403)


def comes_from_here() -> bool:
    """Return True if a page of this server sent the request, or if the user opened the URL directly."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    try:
        host = urlsplit(request.headers.get("Origin", "")).netloc
    except ValueError:  # not an address
        return False
    return host != "" and host == request.host


def require_session() -> ResponseReturnValue | None:
    """Require a session. If the URL contains an API key, sign in with this key."""
    if "api_key" in _read_query() and request.method in _SAFE:
        return _take_key_from_address()
    account = find_session()
    if account is not None:
        g.account = account
        return None
    if "HX-Request" in request.headers:  # htmx asks for a fragment, but the whole page must change
        return Response(status=401, headers={"HX-Redirect": url_for("session.show_sign_in_page")})
    return redirect_to(url_for("session.show_sign_in_page"))


def _read_query() -> Mapping[str, str]:
    """Return the arguments in the address. Raises BadRequest if the arguments are not UTF-8."""
    try:
        return request.args
    except UnicodeDecodeError:
        raise BadRequest from None


def _take_key_from_address() -> ResponseReturnValue:
    """Sign in with the key that the URL contains. Then redirect to a URL that does not contain the key."""
    if _keeps_session():
        return redirect_to(url_for("inbox.show_inbox"))
    return _sign_in(request.args.get("api_key", ""), "This key is not valid or was revoked.")


def _take_link() -> ResponseReturnValue:
    """Sign in with a link.

    Some browsers load a page in advance, before the user clicks. After such a request, the link is still valid.
    """
    if request.method != "GET" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        return Response(status=503)
    if _keeps_session():
        return redirect_to(url_for("inbox.show_inbox"))
    token = get_services().sessions.open_by_link(request.args.get("token", ""))
    if token is None:
        reason = "This link was used already, is too old, or was made for another database."
        return _show_sign_in(f"{reason} The command open makes a new link."), 401
    return _begin_session(token, "")


def _keeps_session() -> bool:
    """Return True if there is a session and another site sent the request.

    Such a request must not replace the session.
    """
    return find_session() is not None and not comes_from_here()


def _sign_in(key: str, fault: str) -> ResponseReturnValue:
    token = get_services().sessions.open_by_key(key)
    return _begin_session(token, key) if token is not None else (_show_sign_in(fault), 401)


def _begin_session(token: str, key: str) -> Response:
    response = redirect_to(url_for("inbox.show_inbox"))
    age = int(SESSION_AGE.total_seconds())
    response.set_cookie(_cookie_name(), f"{key}.{token}", max_age=age, **_cookie_options())
    return response


def redirect_to(location: str) -> Response:
    """Redirect to an address. The browser requests it with GET."""
    return Response(status=303, headers={"Location": location})


def _show_sign_in(fault: str | None = None) -> str:
    return render_template("inbox/sign_in.html", fault=fault)


@bp.get("/sign-in")
def show_sign_in_page() -> ResponseReturnValue:
    """Sign in with the key or token in the URL. If the URL contains neither, ask for an API key."""
    arguments = _read_query()
    if "api_key" in arguments:
        return _take_key_from_address()
    return _take_link() if "token" in arguments else _show_sign_in()


@bp.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Sign in with the key from the form."""
    return _sign_in(request.form.get("api_key", "").strip(), "This key is not valid. A key usually begins with phk_.")


@bp.post("/sign-out")
def sign_out() -> Response:
    """End the session."""
    get_services().sessions.sign_out(_read_cookie()[1])
    response = redirect_to(url_for("session.show_sign_in_page"))
    response.delete_cookie(_cookie_name(), **_cookie_options())
    return response


def _cookie_options() -> dict[str, Any]:
    # The path is the prefix under which the app is mounted. Other apps on the host do not get the key.
    return {"path": f"{request.script_root}/", "httponly": True, "samesite": "Lax", "secure": request.is_secure}


def _cookie_name() -> str:
    # Browsers send a cookie to all ports of a host. The port is in the cookie's name. So two servers on one machine do
    # not replace each other's cookies.
    port = re.search(r":([0-9]{1,5})$", request.host)
    return f"phonify_key_{port[1] if port else 'default'}"


def _read_cookie() -> tuple[str, str]:
    """Return two values from the cookie: the key, and the token.

    If the cookie lacks one of these values, the function returns an empty string for it.
    """
    key, _, token = request.cookies.get(_cookie_name(), "").rpartition(".")
    return key, token


def current_key() -> str:
    """Return the key of the session, or an empty string if the user signed in with a link."""
    return _read_cookie()[0]


def find_session() -> Account | None:
    """Return the account of the session, or None if there is no session."""
    token = _read_cookie()[1]
    return get_services().sessions.find_account(token) if token else None


def current_account() -> Account:
    """Return the account of the session."""
    account: Account = g.account
    return account


def _show_error_page(title: str, text: str, status: int) -> ResponseReturnValue:
    return render_template("inbox/error.html", title=title, text=text), status


def show_error(error: PhonifyError) -> ResponseReturnValue:
    """Show an error of Phonify as a page."""
    status = 400 if isinstance(error, InvalidRequest | RequestRefused) else STATUSES[error.faults[0].kind]
    if status >= 500:
        logger.warning(
            "%s %s: %s (%s)", request.method, mask_keys(escape_controls(request.path)), error, error.__cause__
        )
    return _show_error_page(str(status), error.faults[0].title, status)


def show_http_exception(error: HTTPException) -> ResponseReturnValue:
    """Show a page for an HTTP error that Flask has raised."""
    status = error.code or 500
    return _show_error_page(str(status), fault_for_status(status).title, status)


def show_unexpected_error(error: Exception) -> ResponseReturnValue:
    """Show an unexpected error as a page. The traceback goes to the log, not to the page."""
    logger.error("%s %s failed", request.method, mask_keys(escape_controls(request.path)), exc_info=error)
    return _show_error_page("500", Fault("internal_error").title, 500)


def add_headers(response: Response) -> Response:
    """Add the security headers. Forbid caching, except for static files."""
    for name, value in _HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


protect(bp)
bp.context_processor(template_context)
