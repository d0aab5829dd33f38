"""Health checks, without a key. /healthz shows that the process runs, /readyz shows that it can do its work."""

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from ..clock import parse_time
from ..errors import StoreUnavailable
from ..http.current import get_services
from ..services import Services
from ..storage import monitoring as monitoring_store
from ..storage import outbox as outbox_store

BEHIND = 60.0  # seconds; if a message is due for longer, the server is not ready

bp = Blueprint("monitoring", __name__)


@bp.get("/healthz")
def show_health() -> dict[str, Any]:
    """Answer that the process runs."""
    return {"status": "ok"}


@bp.get("/readyz")
def show_readiness() -> ResponseReturnValue:
    """Answer whether messages can be stored and are delivered. If not, the answer is 503 with the faults."""
    services = get_services()
    faults = [fault for fault in (_try_to_write(services), _look_at_delivery(services)) if fault is not None]
    if not faults:
        return {"status": "ok"}
    return jsonify(status="unavailable", faults=faults), 503


def _try_to_write(services: Services) -> str | None:
    try:
        with services.database.write() as connection:
            monitoring_store.try_to_write(connection)
    except StoreUnavailable as error:
        return f"the database can't be written: {error.__cause__}"
    return None


def _look_at_delivery(services: Services) -> str | None:
    try:
        with services.database.reading() as connection:
            oldest = outbox_store.next_due_at(connection)
    except StoreUnavailable as error:
        return f"the database can't be read: {error.__cause__}"
    waited = (services.clock.now() - parse_time(oldest)).total_seconds() if oldest is not None else 0
    return f"delivery is behind: a message has been due for {waited:.0f} seconds" if waited > BEHIND else None
