"""The downloads of the clients for tests, in Python and in JavaScript. A download needs no key."""

import hashlib
import io
import re
from pathlib import Path

from flask import Blueprint, Response, send_file

bp = Blueprint("downloads", __name__, url_prefix="/sandbox")

_MAX_AGE = 60  # seconds
_STATIC = Path(__file__).parent / "static"
_PYTHON = Path(__file__).parent.parent / "testing"
_IMPORT = re.compile(r"^from \.(\w+) import .*\n", re.MULTILINE)


@bp.get("/phonify_client.py")
def download_python_client() -> Response:
    """Send the client in Python as one file.

    If the client imports a module from its own folder, the source code of that module replaces the import line.
    """
    text = (_PYTHON / "client.py").read_text(encoding="utf-8")
    content = _IMPORT.sub(lambda found: (_PYTHON / f"{found[1]}.py").read_text(encoding="utf-8"), text).encode()
    # The digest of the text is its ETag. So a test that has the file gets it again only after a change.
    digest = hashlib.sha256(content).hexdigest()
    return send_file(io.BytesIO(content), mimetype="text/x-python", max_age=_MAX_AGE, etag=digest)


@bp.get("/phonify.mjs")
def download_javascript_client() -> Response:
    """Send the client in JavaScript. It is an ES module."""
    return send_file(_STATIC / "phonify.mjs", mimetype="text/javascript", max_age=_MAX_AGE)


@bp.get("/phonify.d.mts")
def download_types() -> Response:
    """Send the TypeScript types of the client in JavaScript."""
    return send_file(_STATIC / "phonify.d.mts", mimetype="text/plain", max_age=_MAX_AGE)


@bp.after_request
def forbid_sniffing(response: Response) -> Response:
    """Forbid browsers to guess the content type of an answer."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
