"""Prepares the values for the templates, and renders fragments. A fragment is a part of a page."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from flask import Response, g, render_template, request

from ..errors import Fault
from ..http.current import get_services
from ..sms.numbers import group_number
from ..sms.one_time_codes import find_code
from . import display
from .gateway import list_troubles


def template_context() -> dict[str, Any]:
    """Return the values that every template can use."""
    gateway, settings = get_services().gateway, get_services().settings
    return {
        "account": g.get("account"),
        "sandbox": gateway.sandbox,
        "special_numbers": gateway.special_numbers,
        "max_body": settings.max_body,
        "clock": describe_clock(),
        "display": display,
        "find_code": find_code,
        "group_number": group_number,
        "list_troubles": lambda: list_troubles(get_services(), g.account),
    }


def describe_clock() -> dict[str, Any] | None:
    """Return what a page shows about the server's clock. Returns None if the clock shows the real time."""
    status = get_services().clock.get_status()
    # The time has no seconds. So the line about a running clock changes only once a minute.
    return {"time": f"{status.now[:16]}:00.000Z", "frozen": status.frozen} if status.changed else None


def place_faults(faults: Collection[Fault], fields: Sequence[str]) -> dict[str, Any]:
    """Split the errors of a form into two groups, and return both groups.

    `result["wrong"]` maps the name of a field to the first error of this field. The names are in the order of `fields`.
    `result["faults"]` lists the errors whose parameter is not in `fields`.
    """
    first = {fault.param: fault for fault in reversed([*faults])}
    wrong = {name: first[name] for name in fields if name in first}
    return {"wrong": wrong, "faults": [fault for fault in faults if fault.param not in wrong]}


def answer_look(part: str, shown: dict[str, Any]) -> Response:
    """Answer with the template `part`. Add the lines about gateways and the clock.

    See `answer_fragment`.
    """
    lines = {"troubles": list_troubles(get_services(), g.account), "clock": describe_clock()}
    return answer_fragment("inbox/look.html", {"part": part, **lines, **shown})


def answer_fragment(template: str, shown: dict[str, Any]) -> Response:
    """Answer with a fragment. If the fragment has not changed, answer with the status 304.

    The ETag is a hash of the template's values. If the values have not changed, nothing is rendered.
    """
    etag = hashlib.sha256(repr(shown).encode("utf-8", "surrogatepass")).hexdigest()
    unchanged = request.if_none_match.contains_weak(etag)
    response = Response("" if unchanged else render_template(template, **shown))
    response.set_etag(etag)
    response.make_conditional(request)
    return response
