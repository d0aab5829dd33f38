"""Faults of the API that a rule of the sandbox simulates: an error as the answer, or a slow answer.

Requests under /sandbox meet no rule. So a test can always change its rules.
"""

from typing import Any

from flask import Response, after_this_request, request
from werkzeug.exceptions import HTTPException

from ..errors import PhonifyError, SimulatedFault
from ..storage.records import Account
from ..storage.rule_records import Rule
from .arguments import read_arguments
from .current import get_services

HEADER = "X-Phonify-Rule"
_SENDING = ("/v1/messages", "/Messages.json")  # ends of the paths that send messages with POST


def meet_rule(account: Account) -> None:
    """Do what a rule of the account says about the current request. Raises SimulatedFault for an error.

    The answer has the id of the rule in a header.
    """
    rules = get_services().rules
    if request.path.startswith("/sandbox/") or not rules.has_request_rules(account):
        return
    rule = rules.meet_request(account, _list_texts(account))
    if rule is None:
        return
    _name_rule(rule)
    if rule.outcome == "api_error":
        raise SimulatedFault(rule.status or 503, rule.name or rule.id)
    get_services().sending.waiting.pause(rule.seconds)


def _name_rule(rule: Rule) -> None:
    @after_this_request
    def add_header(response: Response) -> Response:
        response.headers[HEADER] = rule.id
        return response


def _list_texts(account: Account) -> list[tuple[str, str, str]]:
    """Return recipient, sender and body of each message that the request would send, exactly as given.

    If the request can't be read, the list is empty. The view then reports the error, unless a rule answers first.
    """
    if request.method != "POST" or not request.path.rstrip("/").endswith(_SENDING):
        return []
    try:
        arguments = read_arguments()
    except (PhonifyError, HTTPException):
        return []
    given: dict[str, Any] = {name.lower(): value for name, value in arguments.items()}
    recipients = given.get("to")
    origin = given.get("origin") or given.get("from") or get_services().sending.default_origin(account)
    return [
        (str(to).replace(" ", "+", 1) if str(to).startswith(" ") else str(to), str(origin), str(given.get("body", "")))
        for to in (recipients if isinstance(recipients, list) else [recipients])
    ]
