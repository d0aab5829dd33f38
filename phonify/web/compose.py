"""The HTML forms of the inbox. A person can send, schedule, change, cancel or release messages with these forms."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from ..errors import Fault, InvalidRequest, PhonifyError, RequestRefused
from ..http.arguments import read_arguments
from ..http.current import get_services
from ..schemas.requests import ChangeSchema, InboundSchema, SendSchema, load
from ..sms.numbers import read_typed_number
from ..sms.segments import check_text
from ..storage.records import Message
from . import display
from .conversations import show_detail, show_thread_page
from .reading import look_at_thread, normalize_lines, read_conversations, read_number
from .rendering import place_faults
from .session import current_account, guard, redirect_to

FIELDS = ("to", "origin", "send_at", "body")  # the fields of the form for a new message, from top to bottom

_TIME_LENGTH = len("2026-01-31T09:30:00")  # a time without a time zone

bp = Blueprint("compose", __name__)
guard(bp)


@bp.get("/inbox/compose")
def show_compose() -> str:
    """Show the form for a new message."""
    return _show_compose({"to": request.args.get("to", "")})


@bp.post("/inbox/compose")
def compose() -> Any:
    """Send a new message from the app. In a sandbox, the form can simulate a message from a phone."""
    given = _read_form()
    given.setdefault("to", given.get("special", ""))
    typed = {name: read_typed_number(value) if name in ("to", "origin") else value for name, value in given.items()}
    try:
        # The form field `to` contains the number of the phone, even if the phone is the sender.
        message, faults = _write(typed["to"], typed)
    except PhonifyError as error:
        return _show_compose(given, error.faults), 400
    if faults:
        return redirect_to(url_for("inbox.show_message", message_id=message.id))
    return redirect_to(url_for("inbox.show_thread", phone=display.other_side(message)))


@bp.post("/inbox/phones/<path:phone>/messages")
def write(phone: str) -> Any:
    """Send a message from the app to a phone, or simulate a message from the phone to the app.

    The simulation is possible only in a sandbox.
    """
    given = _read_form()
    try:
        _, faults = _write(phone, given)
    except PhonifyError as error:
        if "HX-Request" not in request.headers:
            return show_thread_page(phone, form=given, faults=error.faults), 400
        form = {"own_number": given.get("origin", ""), "form": given, "faults": error.faults}
        return render_template("inbox/form.html", phone=phone, **form), 400
    form = {"form": {"as": given.get("as", "app")}, "faults": faults}
    if "HX-Request" in request.headers:
        thread = look_at_thread(phone, since=read_number(given.get("since")))
        listed = read_conversations(shown=read_number(given.get("shown")), current=phone)
        return render_template(
            "inbox/written.html", **{**listed, **thread, **form, "own_number": given.get("origin", "")}
        )
    if not faults:
        return redirect_to(url_for("inbox.show_thread", phone=phone))
    return show_thread_page(phone, **form)


@bp.post("/inbox/messages/<message_id>/change")
def change_message(message_id: str) -> Any:
    """Change a scheduled message."""
    services, given = get_services(), _read_change()
    try:
        if given:
            changes = load(ChangeSchema(max_body=services.settings.max_body), given)
            services.changing.change(current_account(), message_id, **changes)
        else:
            services.sending.find(current_account(), message_id)  # raises NotFound
    except (InvalidRequest, RequestRefused) as error:
        return show_detail(message_id, faults=error.faults, given=given), 400
    if "HX-Request" in request.headers:
        return show_detail(message_id)
    return redirect_to(url_for("inbox.show_message", message_id=message_id))


@bp.post("/inbox/messages/<message_id>/cancel")
def cancel_message(message_id: str) -> Any:
    """Cancel a scheduled message."""
    try:
        message = get_services().changing.cancel(current_account(), message_id)
    except RequestRefused as error:
        return show_detail(message_id, faults=error.faults), 400
    there = url_for("inbox.show_thread", phone=display.other_side(message), notice="cancelled")
    if "HX-Request" in request.headers:
        return Response(headers={"HX-Redirect": there})
    return redirect_to(there)


@bp.post("/inbox/messages/<message_id>/release")
def release_message(message_id: str) -> Any:
    """Send a caught message to its phone, and show the new message.

    If a person clicks twice, Phonify sends only one new message. If this message has failed, the person can click
    again. Phonify then sends another message.
    """
    services, account = get_services(), current_account()
    copy = services.releasing.find_copies(account, [services.sending.find(account, message_id)]).get(message_id)
    key = f"{message_id} {copy.id}" if copy is not None and copy.state == "error" else message_id
    try:
        first, _ = services.releasing.release_once(account, message_id, key)
    except RequestRefused as error:
        return show_detail(message_id, faults=error.faults), 400
    released_id = json.loads(first.answer)["message"]["id"]
    if "HX-Request" in request.headers:
        return show_detail(released_id)
    return redirect_to(url_for("inbox.show_message", message_id=released_id))


@bp.post("/inbox/check")
def check() -> str:
    """Check the text that a person is writing, and show the result."""
    body = _read_form().get("body", "")
    return render_template("inbox/check.html", check=check_text(body) if body else None, body=body)


def _show_compose(given: Mapping[str, Any], faults: Iterable[Fault] = ()) -> str:
    services = get_services()
    if _is_phone(given):  # the phone is the sender, and the app's number is the recipient
        fields = {"from": "to", "to": "origin"}
        faults = [replace(fault, param=fields.get(fault.param or "", fault.param)) for fault in faults]
    return render_template(
        "inbox/compose.html",
        **read_conversations(),
        **place_faults(list(faults), FIELDS),
        given=given,
        default_origin=services.sending.default_origin(current_account()),
    )


def _read_form() -> dict[str, str]:
    """Return the form's fields. Empty fields are left out. A time without a time zone is in UTC.

    Browsers end a line with CR LF, but the page counts the end of a line as one character.
    """
    arguments = read_arguments().items()
    given = {name: normalize_lines(value) for name, value in arguments if value and isinstance(value, str)}
    try:
        "".join(given.values()).encode()
    except UnicodeEncodeError:  # JSON can contain a lone surrogate, but UTF-8 can't
        raise InvalidRequest([Fault("bad_request")]) from None
    if "send_at" in given and len(given["send_at"]) <= _TIME_LENGTH:
        given["send_at"] += "Z"
    return given


def _read_change() -> dict[str, str]:
    """Return only the fields that the person has changed. The other fields possibly have old values."""
    form = _read_form()
    plain = {"body": form.get("body"), "send_at": form.get("send_at", "")[:_TIME_LENGTH]}
    return {name: form[name] for name in plain if name in form and plain[name] != form.get(f"shown_{name}")}


def _is_phone(given: Mapping[str, Any]) -> bool:
    """Return whether the phone is the sender. Only a sandbox allows this."""
    return given.get("as") == "handset" and get_services().gateway.sandbox


def _write(phone: str, given: Mapping[str, Any]) -> tuple[Message, list[Fault]]:
    """Send a message from the app to the phone, or simulate a message from the phone.

    The form field `as` chooses one of the two. A message from the phone goes to the number in `origin`. If `origin`
    contains no number, this message goes to the app's default number. Returns the message, and a list of errors.
    """
    services, account = get_services(), current_account()
    max_body = services.settings.max_body
    fields = {name: given[name] for name in ("body", "origin", "send_at") if name in given}
    if not _is_phone(given):
        sent = services.sending.send(account, load(SendSchema(max_body=max_body), {**fields, "to": phone}))
        return sent.messages[0], sent.faults
    own = given.get("origin", "")
    if not own.lstrip("+").isdecimal():  # missing or alphanumeric
        own = services.sending.default_origin(account)
    arguments = load(InboundSchema(max_body=max_body), {**fields, "from": phone, "to": own})
    return services.receiving.receive(account, **arguments), []
