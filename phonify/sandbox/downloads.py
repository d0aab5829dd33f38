"""The downloads of the clients for tests, in Python and in JavaScript. They need no key."""

from pathlib import Path

from flask import Blueprint, Response, send_file

bp = Blueprint("downloads", __name__, url_prefix="/sandbox")

_MAX_AGE = 60  # seconds
_STATIC = Path(__file__).parent / "static"
_PYTHON = Path(__file__).parent.parent / "testing" / "client.py"


@bp.get("/phonify_client.py")
def download_python_client() -> Response:
    """Send the client in Python."""
    return _send(_PYTHON, "text/x-python")


@bp.get("/phonify.mjs")
def download_javascript_client() -> Response:
    """Send the client in JavaScript, an ES module."""
    return _send(_STATIC / "phonify.mjs", "text/javascript")


@bp.get("/phonify.d.mts")
def download_types() -> Response:
    """Send the TypeScript types of the client in JavaScript."""
    return _send(_STATIC / "phonify.d.mts", "text/plain")


def _send(path: Path, mimetype: str) -> Response:
    response = send_file(path, mimetype=mimetype, max_age=_MAX_AGE)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
