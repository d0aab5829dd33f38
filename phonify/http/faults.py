"""Applies the rules that simulate faults of the API.

Such a rule of the sandbox can cause an error, or delay the API's answer. The rules do not apply to paths under
/sandbox. So a test can change the rules even while a rule makes all requests to other paths fail.
"""

from typing import Any

from flask import Response, after_this_request, request
from werkzeug.exceptions import HTTPException

from ..errors import PhonifyError, SimulatedFault
from ..storage.records import Account
from .arguments import read_arguments
from .current import get_services

HEADER = "X-Phonify-Rule"


def meet_rule(account: Account, *, sends_messages: bool) -> None:
    """Apply the account's rules to the current request. Depending on the rule, wait or raise SimulatedFault.

    `sends_messages` is True if the request sends messages. If a rule applies, a header of the answer shows the id of
    the rule.
    """
    rules = get_services().rules
    if request.path.startswith("/sandbox/") or not rules.has_request_rules(account):
        return
    rule = rules.meet_request(account, _list_texts(account) if sends_messages else [])
    if rule is None:
        return

    @after_this_request
    def add_header(response: Response) -> Response:
        response.headers[HEADER] = rule.id
        return response

    if rule.outcome == "api_error":
        raise SimulatedFault(rule.status or 503, rule.name or rule.id)
    get_services().sending.waiting.pause(rule.seconds)


def _list_texts(account: Account) -> list[tuple[str, str, str]]:
    """Return the recipient, the sender and the body of each message in the request. These values are not checked yet.

    If the request can't be read, the list is empty. Usually, the view then reports the error. If a rule simulates an
    error, Phonify does not call the view.
    """
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
