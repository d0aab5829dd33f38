"""The route of the OpenAPI document. Phonify builds the document at the first request for it."""

import json

from flask import Blueprint, Response, current_app, request

from ...schemas.answers import DocumentAnswer
from ...schemas.description import describe
from .document import build_document
from .texts import Json

bp = Blueprint("openapi", __name__, url_prefix="/v1")

_EXTENSION = "phonify.openapi"
_MAX_AGE = 60  # seconds


@bp.get("/openapi.json")
@describe(
    public=True,
    answers={200: DocumentAnswer},
    examples=(),
    text="Phonify generates this document from its code. The reference under `/docs` is generated from this document.",
)
def show_document() -> Response:
    """Retrieve this description of the API as an OpenAPI 3.1 document."""
    servers = [{"url": request.url_root.rstrip("/"), "description": "This server."}]
    text = json.dumps({**get_document(), "servers": servers}, ensure_ascii=False, separators=(",", ":"))
    response = current_app.response_class(text, mimetype="application/json")
    response.cache_control.public = True
    response.cache_control.max_age = _MAX_AGE
    response.add_etag()
    response.make_conditional(request)
    return response


def get_document() -> Json:
    """Return the OpenAPI document of the current app."""
    document: Json | None = current_app.extensions.get(_EXTENSION)
    if document is None:
        document = current_app.extensions[_EXTENSION] = build_document(current_app)
    return document
