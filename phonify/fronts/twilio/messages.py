"""Views of Twilio's resource `Messages`. An app can create, fetch, list, update and delete messages."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response

from ...errors import NotFound, RequestRefused
from ...http.current import get_services
from ...schemas.fields import MAX_OFFSET
from ...schemas.twilio import dump_twilio_message, read_message_sid, write_message_sid
from ...sms.numbers import parse_originator
from ...storage.front_records import FrontMessage
from ...storage.records import Criteria, Message
from .auth import current_account
from .errors import MissingResource, TwilioError
from .paging import envelope, read_dates, read_page
from .parameters import CODES, MAX_BODY, MOST_SHOWN, OTHER_CODE, Parameters, cut, read_draft

bp = Blueprint("messages", __name__)


@bp.post("/<account_sid>/Messages.json")
def create_message() -> tuple[dict[str, Any], int]:
    """Send a message. The settings page shows a refused request."""
    services, account, given = get_services(), current_account(), Parameters()
    try:
        draft = read_draft(
            given, now=services.clock.now(), magic=services.gateway.sandbox, is_url=services.fronts.is_url
        )
        if draft.front is not None and draft.front.status_callback is not None:
            services.fronts.ensure_account(account)  # the callbacks are signed with the account's auth token
        try:
            (message,) = services.sending.send(account, draft, keep_refused=False).messages
        except RequestRefused as refused:
            raise _explain(given, refused.faults[0].type, services.clock.now()) from refused
    except TwilioError as error:
        services.fronts.note_refusal(
            account,
            to=cut(given.get_number("To"), MOST_SHOWN),
            origin=cut(given.get_number("From") or given.get("MessagingServiceSid"), MOST_SHOWN),
            body="" if given.get("ContentRetention") == "discard" else cut(given.get("Body"), MAX_BODY),
            code=error.code,
            meaning=error.message,
        )
        raise
    kept = draft.front or FrontMessage()
    return _dump(message, kept, accepted=kept.service_sid is not None and draft.send_at is None), 201


def _explain(given: Parameters, error_type: str, now: datetime) -> TwilioError:
    """Convert an error type of Phonify to an error of Twilio."""
    error = given.refuse(CODES.get(error_type, OTHER_CODE))
    if error_type == "quota_used_up":  # until the next day begins in UTC
        error.retry_after = 86_400 - int(now.timestamp()) % 86_400
    return error


@bp.get("/<account_sid>/Messages.json")
def list_messages() -> dict[str, Any]:
    """List messages, the newest first."""
    services, account, given = get_services(), current_account(), Parameters()
    page = read_page(given)
    sent_from, sent_until = read_dates(given, "DateSent")
    criteria = Criteria(
        to=_read_number(given, "To"),
        origin=_read_number(given, "From"),
        sent_from=sent_from,
        sent_until=sent_until,
        before=page.before,
        after=page.after,
    )
    # If the request has no page token, the offset depends on the page number.
    offset = page.number * page.size if page.before is None and page.after is None else 0
    found = services.sending.find_all(account, criteria, offset=min(offset, MAX_OFFSET), limit=page.size + 1)
    has_next = len(found) > page.size or page.after is not None
    messages = found[-page.size :] if page.after is not None else found[: page.size]
    kept = services.fronts.find_messages(messages)
    sids = [write_message_sid(*both) for both in zip(messages, kept, strict=True)]
    shown = [_dump(*both) for both in zip(messages, kept, strict=True)]
    return {"messages": shown, **envelope(page, sids, has_next=has_next)}


def _read_number(given: Parameters, name: str) -> str | None:
    """Read the value of a filter such as `To`. If the value is not a phone number, return it unchanged."""
    text = given.get_number(name)
    try:
        return parse_originator(text).number if text else None
    except ValueError:
        return text  # no message has it


@bp.get("/<account_sid>/Messages/<sid>.json")
def fetch_message(sid: str) -> dict[str, Any]:
    """Retrieve one message."""
    return _dump(find_message(sid))


@bp.post("/<account_sid>/Messages/<sid>.json")
def update_message(sid: str) -> dict[str, Any]:
    """Cancel a scheduled message, or remove the body from a message in a final state."""
    given, changing, message = Parameters(), get_services().changing, find_message(sid)
    status = given.get("Status")
    if status not in ("", "canceled"):
        raise TwilioError(20001, "The parameter 'Status' must have the value 'canceled'.")
    if given.get("Body"):
        raise TwilioError(
            20001, "You can remove the body of a message, but you can't change it. The parameter 'Body' must be empty."
        )
    if status:
        try:
            message = changing.call_off(current_account(), message.id)
        except RequestRefused as error:
            raise TwilioError(30409, "The message is not scheduled, so it can't be canceled.") from error
    if given.has("Body"):
        try:
            message = changing.redact(current_account(), message.id)
        except RequestRefused as error:
            raise TwilioError(20009, "The message is not in a final state, so it can't be redacted.") from error
    return _dump(message)


@bp.delete("/<account_sid>/Messages/<sid>.json")
def delete_message(sid: str) -> Response:
    """Remove a message that is in a final state."""
    message = find_message(sid)
    try:
        get_services().changing.remove(current_account(), message.id)
    except RequestRefused as error:
        raise TwilioError(20009, "The message is not in a final state, so it can't be deleted.") from error
    return Response(status=204)


def find_message(sid: str) -> Message:
    """Return the message with this SID. Raises MissingResource if the current account has no such message."""
    message_id = read_message_sid(sid)
    try:
        if message_id is not None:
            return get_services().sending.find(current_account(), message_id)
    except NotFound:
        pass
    raise MissingResource


def _dump(message: Message, kept: FrontMessage | None = None, *, accepted: bool = False) -> dict[str, Any]:
    services = get_services()
    kept = kept or services.fronts.find_message(message)
    simulated = services.rules.is_delivery_simulated(message)
    return dump_twilio_message(message, kept, simulated=simulated, accepted=accepted)
