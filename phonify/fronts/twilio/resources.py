"""Views of three resources of Twilio: accounts, media and feedback. Media and feedback belong to a message."""

import hashlib
import mimetypes
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint

from ...errors import NotFound
from ...http.current import get_services
from ...schemas.twilio import API_VERSION, write_account_sid, write_date, write_message_sid
from ...storage.front_records import FrontMessage
from ...storage.records import Message
from .auth import current_account
from .errors import MissingResource, TwilioError
from .messages import find_message
from .paging import PAGE_SIZE, Page, envelope
from .parameters import Parameters

bp = Blueprint("resources", __name__)


@bp.get("/<account_sid>.json")
def fetch_account() -> dict[str, Any]:
    """Retrieve the account. Apps check their credentials with this request."""
    account = current_account()
    account_sid = write_account_sid(account.id)
    kept = get_services().fronts.find(account)
    uri = f"/{API_VERSION}/Accounts/{account_sid}"
    return {
        "auth_token": kept.auth_token if kept is not None else None,
        "date_created": write_date(account.created_at),
        "date_updated": write_date(account.created_at),
        "friendly_name": account.name,
        "owner_account_sid": account_sid,
        "sid": account_sid,
        "status": "active",
        "subresource_uris": {"messages": f"{uri}/Messages.json"},
        "type": "Full",
        "uri": f"{uri}.json",
    }


@bp.get("/<account_sid>/Messages/<sid>/Media.json")
def list_media(sid: str) -> dict[str, Any]:
    """List the media of a message."""
    media = _list_media(find_message(sid))
    return {"media_list": media, **envelope(Page(0, PAGE_SIZE), [one["sid"] for one in media], has_next=False)}


@bp.get("/<account_sid>/Messages/<sid>/Media/<media_sid>.json")
def fetch_media(sid: str, media_sid: str) -> dict[str, Any]:
    """Retrieve one media item of a message."""
    for one in _list_media(find_message(sid)):
        if one["sid"] == media_sid:
            return one
    raise MissingResource


def _list_media(message: Message) -> list[dict[str, Any]]:
    kept = get_services().fronts.find_message(message)
    return [_dump_media(message, kept, position) for position in range(len(kept.media))]


def _dump_media(message: Message, kept: FrontMessage, position: int) -> dict[str, Any]:
    account_sid, parent_sid = write_account_sid(message.account_id), write_message_sid(message, kept)
    sid = write_media_sid(message.id, position)
    return {
        "sid": sid,
        "account_sid": account_sid,
        "parent_sid": parent_sid,
        "content_type": guess_type(kept.media[position]),
        "date_created": write_date(message.created_at),
        "date_updated": write_date(message.created_at),
        "uri": f"/{API_VERSION}/Accounts/{account_sid}/Messages/{parent_sid}/Media/{sid}.json",
    }


def write_media_sid(message_id: str, position: int) -> str:
    """Return the SID of a media item."""
    return f"ME{hashlib.sha256(f'{message_id} {position}'.encode()).hexdigest()[:32]}"


def guess_type(url: str) -> str:
    """Guess a file's MIME type. The guess depends on the file name in the URL. The file is never fetched."""
    return mimetypes.guess_type(urlsplit(url).path)[0] or "application/octet-stream"


@bp.post("/<account_sid>/Messages/<sid>/Feedback.json")
def create_feedback(sid: str) -> tuple[dict[str, Any], int]:
    """Store the outcome that the app reports for a message."""
    message, outcome = find_message(sid), Parameters().get("Outcome") or "unconfirmed"
    if outcome not in ("confirmed", "unconfirmed"):
        raise TwilioError(20001, "The parameter 'Outcome' must be 'confirmed' or 'unconfirmed'.")
    try:
        kept = get_services().fronts.set_feedback(message, outcome)
    except NotFound as error:
        raise MissingResource from error
    account_sid, parent_sid = write_account_sid(message.account_id), write_message_sid(message, kept)
    return {
        "account_sid": account_sid,
        "message_sid": parent_sid,
        "outcome": outcome,
        "date_created": write_date(kept.feedback_at),
        "date_updated": write_date(kept.feedback_at),
        "uri": f"/{API_VERSION}/Accounts/{account_sid}/Messages/{parent_sid}/Feedback.json",
    }, 201
