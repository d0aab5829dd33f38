"""Reads the state of the gateways. This state appears on each page in a line, and on the settings page in a section."""

from typing import Any

from ..domain.accounts import DEFAULT_ACCOUNT
from ..domain.gateway_health import Trouble
from ..services import Services
from ..storage.records import Account


def describe_gateways(services: Services, account: Account) -> dict[str, Any]:
    """Return the values for the template `gateway.html`.

    The account `default` belongs to the operator. For this account, the template also shows the texts of faults, and
    data about the messages of all accounts. Other accounts do not see this.
    """
    statuses = [running.get_status() for running in services.gateways.values() if not running.gateway.sandbox]
    is_operator = account.name == DEFAULT_ACCOUNT
    return {
        "gateways": statuses,
        "is_operator": is_operator,
        "numbers": [number for number, _ in services.inbound.list_numbers(account)],
        "open_texts": services.inbound.count_open() if statuses and is_operator else 0,
        "left": services.moving.list_left() if is_operator else [],
    }


def list_troubles(services: Services, account: Account) -> list[Trouble]:
    """List the gateways that currently get no messages. Each item of the result contains the reason.

    Only the result for the operator's account contains descriptions of faults.
    """
    links = [link for link in services.gateways.values() if not link.gateway.sandbox]
    found = [trouble for link in links if (trouble := link.find_trouble()) is not None]
    return found if account.name == DEFAULT_ACCOUNT else [trouble._replace(fault=None) for trouble in found]
