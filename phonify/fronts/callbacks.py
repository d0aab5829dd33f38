"""Receives callbacks. A provider posts receipts and received texts to `/gateways/<name>/...`."""

import logging
from collections.abc import Mapping
from typing import cast

from flask import Blueprint, Response, request

from ..errors import NotFound
from ..gateways.events import CallbackRequest, Forged, Unreadable
from ..http.arguments import read_data
from ..http.current import get_services

logger = logging.getLogger(__name__)

bp = Blueprint("gateways", __name__, url_prefix="/gateways")


@bp.route("/<name>/", defaults={"path": ""}, methods=["GET", "POST"])
@bp.route("/<name>/<path:path>", methods=["GET", "POST"])
def hear(name: str, path: str) -> Response:
    """Pass a request to the gateway, store the events, and return the answer that the provider expects."""
    services = get_services()
    running = services.gateways.get(name)
    if running is None:
        raise NotFound
    try:
        heard = running.gateway.hear(_read_request(path))
    except NotImplementedError:
        raise NotFound from None
    except Forged:
        logger.warning("a callback of the gateway %s is not signed correctly", name)
        return Response("This request is not from the provider.", 403, mimetype="text/plain")
    except Unreadable as error:
        logger.warning("a callback of the gateway %s can't be read: %s", name, error)
        return Response(f"This request can't be read: {error}", 400, mimetype="text/plain")
    running.take(heard.events)
    return Response(heard.answer.body, heard.answer.status, content_type=heard.answer.content_type)


def _read_request(path: str) -> CallbackRequest:
    services = get_services()
    public_url = services.settings.public_url or request.url_root.rstrip("/")
    try:
        query = request.query_string.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("its query is not UTF-8") from error
    return CallbackRequest(
        method=request.method,
        path=path,
        url=f"{public_url}{request.path}" + (f"?{query}" if query else ""),
        query=list(request.args.items(multi=True)),
        headers=cast("Mapping[str, str]", request.headers),
        body=read_data(),
        at=services.clock.now(),
    )
