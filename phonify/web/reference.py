"""The page of the API reference, and a page for each guide."""

from flask import Blueprint, render_template

from ..api.openapi.views import get_document
from ..errors import ERROR_TYPES, NotFound
from ..http.current import get_services
from ..http.errors import STATUSES
from . import reference_content as reference
from . import session
from .guides import NAMES, list_titles, render_guide
from .reading import read_address

bp = Blueprint("docs", __name__, url_prefix="/docs")
session.protect(bp)


@bp.get("")
def show_reference() -> str:
    """Show the reference. The page needs no key."""
    return render_template(
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


@bp.get("/<name>")
def show_guide(name: str) -> str:
    """Show a guide."""
    if name not in NAMES:
        raise NotFound
    return render_template("docs/guide.html", guide=render_guide(name), guides=list_titles(), current=name)


@bp.post("/key")
def take_key() -> dict[str, str | None]:
    """Return the key of the current session. Only pages of this server are allowed to get the key."""
    key = session.current_key() if session.find_session() is not None else ""
    return {"api_key": key or None}
