"""The HTTP status of each kind of error, and the error handlers of the app."""

import logging
from collections.abc import Callable, Mapping, Sequence

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

from ..errors import Fault, Kind, PhonifyError, fault_for_status
from ..logs import escape_controls, mask_keys
from .auth import auth

logger = logging.getLogger(__name__)

_FORMS = "phonify.error_forms"
STATUSES = {
    Kind.INVALID: 400,
    Kind.UNAUTHORIZED: 401,
    Kind.REFUSED: 402,
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED_MEDIA_TYPE: 415,
    Kind.HEADERS_TOO_LARGE: 431,
    Kind.TOO_MANY: 429,
    Kind.INTERNAL: 500,
    Kind.UNAVAILABLE: 503,
}


# Returns the answer for an HTTP status. The second argument is the exception, if it is a PhonifyError.
ErrorForm = Callable[[int, PhonifyError | None], Response]


def register_error_handlers(app: Flask, forms: Mapping[str, ErrorForm]) -> None:
    """Register the error handlers of an app.

    Each front, such as the Twilio-compatible API, has its own format for errors. In `forms`, each key is the path
    prefix of a front. Each value is a function that creates the error answers of this front. On all other paths, errors
    have the format of the REST API.
    """
    app.extensions[_FORMS] = forms
    app.register_error_handler(PhonifyError, show_error)
    app.register_error_handler(HTTPException, show_http_exception)
    app.register_error_handler(Exception, show_unexpected_error)


def _show(faults: Sequence[Fault], status: int, error: PhonifyError | None = None) -> Response:
    forms: Mapping[str, ErrorForm] = current_app.extensions[_FORMS]
    for prefix, form in forms.items():
        if request.path == prefix or request.path.startswith(f"{prefix}/"):
            return form(status, error)
    return show_faults(faults, status)


def show_faults(faults: Sequence[Fault], status: int) -> Response:
    """Return an error answer in the format of the REST API. The answer contains all `faults`."""
    response = jsonify(errors=[fault.to_dict() for fault in faults])
    response.status_code = status
    return response


def show_error(error: PhonifyError) -> Response:
    """Return the error answer for a PhonifyError."""
    response = _show(error.faults, STATUSES[error.faults[0].kind], error)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if response.status_code == 401 and "WWW-Authenticate" not in response.headers:
        response.headers["WWW-Authenticate"] = auth.authenticate_header()
    if response.status_code >= 500:
        logger.warning(
            "%s %s: %s (%s)", request.method, mask_keys(escape_controls(request.path)), error, error.__cause__
        )
    return response


def show_http_exception(error: HTTPException) -> Response:
    """Return the answer for an HTTP exception, such as `werkzeug.exceptions.NotFound`.

    The answer has the error's status and the error's headers, such as Allow.
    """
    status = error.code or 500
    response = _show([fault_for_status(status)], status)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def show_unexpected_error(error: Exception) -> Response:
    """Return the answer to a request that failed with an unexpected error. The traceback is only in the log."""
    logger.error("%s %s failed", request.method, mask_keys(escape_controls(request.path)), exc_info=error)
    return _show([Fault("internal_error")], 500)
