"""The health checks. They need no key.

`/healthz` shows that the process is running. `/readyz` shows whether Phonify can store and deliver messages.
"""

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from ..domain.gateway_health import GatewayHealth
from ..errors import StoreUnavailable
from ..http.current import get_services
from ..storage import monitoring as monitoring_store
from ..storage.database import Connection

bp = Blueprint("monitoring", __name__)


@bp.get("/healthz")
def show_health() -> dict[str, Any]:
    """Show that the process is running."""
    return {"status": "ok"}


@bp.get("/readyz")
def show_readiness() -> ResponseReturnValue:
    """Report whether Phonify can store and deliver messages.

    If it can't, the status is 503, and `faults` has the reasons. If a gateway accepts no messages, the answer has
    a warning. The status is still 200, because Phonify can store messages.
    """
    services = get_services()
    faults, warnings = [], []
    try:
        with services.database.write() as connection:
            monitoring_store.try_to_write(connection)
    except StoreUnavailable as error:
        faults.append(f"the database can't be written: {error.__cause__}")
    try:
        change = services.clock.describe_change()
        warnings += [change] if change is not None else []
        with services.database.reading() as connection:
            for running in services.gateways.values():
                more_faults, more_warnings = _look_at_gateway(running.health, connection)
                faults += more_faults
                warnings += more_warnings
            warnings += [left.summary for left in services.moving.read_left(connection)]
            warnings += services.webhooks.list_warnings(connection)
    except StoreUnavailable as error:
        faults.append(f"the database can't be read: {error.__cause__}")
    shown: dict[str, Any] = {"status": "unavailable", "faults": faults} if faults else {"status": "ok"}
    if warnings:
        shown["warnings"] = warnings
    return jsonify(shown), 503 if faults else 200


def _look_at_gateway(health: GatewayHealth, connection: Connection) -> tuple[list[str], list[str]]:
    """Return two lists: the faults and the warnings of one gateway.

    If a message is late, one of the lists mentions the delay.
    """
    status, delay = health.read_status(connection), health.find_delay(connection)
    warnings = [] if status.is_open else [f"the gateway {status.name}: {status.summary}"]
    if delay is None:
        return [], warnings
    late = f"a message has been due for {delay.seconds:.0f} seconds"
    if delay.reason is None:
        return [f"delivery is behind: {late}"], warnings
    return [], [*warnings, f"the gateway {status.name}: {late}, because {delay.reason}"]
