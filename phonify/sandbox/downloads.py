"""Serves the source files of the test clients for Python and JavaScript. A download needs no key."""

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
    """Return the source code of the Python client as one file.

    `client.py` imports other modules of the folder `testing/`. In the answer, the source code of these modules replaces
    the import lines.
    """
    text = (_PYTHON / "client.py").read_text(encoding="utf-8")
    content = _IMPORT.sub(lambda found: (_PYTHON / f"{found[1]}.py").read_text(encoding="utf-8"), text).encode()
    # The digest is the ETag. If a browser or a test already has this content, the answer is 304 without the file.
    digest = hashlib.sha256(content).hexdigest()
    return send_file(io.BytesIO(content), mimetype="text/x-python", max_age=_MAX_AGE, etag=digest)


@bp.get("/phonify.mjs")
def download_javascript_client() -> Response:
    """Return the source code of the JavaScript client. The client is an ES module."""
    return send_file(_STATIC / "phonify.mjs", mimetype="text/javascript", max_age=_MAX_AGE)


@bp.get("/phonify.d.mts")
def download_types() -> Response:
    """Return the TypeScript types of the JavaScript client."""
    return send_file(_STATIC / "phonify.d.mts", mimetype="text/plain", max_age=_MAX_AGE)


@bp.after_request
def forbid_sniffing(response: Response) -> Response:
    """Forbid browsers to guess the content type of an answer."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
