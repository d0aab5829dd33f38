"""The pages of the API reference and the guides."""

from flask import Blueprint, Response, jsonify, render_template

from ..api.openapi.views import get_document
from ..errors import ERROR_TYPES, NotFound
from ..http.current import get_services
from ..http.errors import STATUSES
from . import reference_content as reference
from . import session
from .guides import NAMES, list_titles, render_guide
from .reading import read_address

bp = Blueprint("docs", __name__, url_prefix="/docs", template_folder="templates")
session.show_errors(bp)


@bp.get("")
def show_reference() -> Response:
    """Show the reference. It needs no key."""
    page = render_template(
        "docs/reference.html",
        **reference.read_document(get_document()),
        guides=list_titles(),
        address=read_address(),
        errors=[(STATUSES[error.kind], error) for error in ERROR_TYPES.values()],
        special_numbers=get_services().gateway.special_numbers,
        signed_in=session.find_session() is not None and session.current_key() != "",
        write_curl=reference.write_curl,
        write_python=reference.write_python,
        write_json=reference.write_json,
        format_text=reference.format_text,
        format_inline=reference.format_inline,
    )
    return session.add_headers(Response(page))


@bp.get("/<name>")
def show_guide(name: str) -> Response:
    """Show a guide."""
    if name not in NAMES:
        raise NotFound
    page = render_template("docs/guide.html", guide=render_guide(name), guides=list_titles(), current=name)
    return session.add_headers(Response(page))


@bp.post("/key")
def take_key() -> Response:
    """Answer with the key of the session. Only a page of this server may ask for it."""
    refusal = session.refuse_other_sites()
    if refusal is not None:
        return refusal
    key = session.current_key() if session.find_session() is not None else ""
    return session.add_headers(jsonify(api_key=key or None))
