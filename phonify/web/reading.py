"""Reads the data for the pages: the list of conversations, a thread, a message."""

import json
from collections.abc import Sequence
from typing import Any

from flask import request

from ..domain.accounts import DEFAULT_ACCOUNT
from ..domain.conversations import END
from ..errors import ERROR_TYPES, MESSAGE_ERRORS
from ..http.current import get_services
from ..schemas.objects import dump_message
from ..sms.segments import check_text
from ..storage.records import Entry, Message
from . import display
from .session import current_account, current_key

CONVERSATIONS = 40
MESSAGES = 50
MOST_CONVERSATIONS = 200  # a page refreshes at most this number of conversations
MOST_MESSAGES = 500  # a page refreshes at most this number of messages


def read_conversations(*, below: int = END, shown: int = 0, current: str | None = None) -> dict[str, Any]:
    """Return at least one page of conversations, latest first.

    `shown` is the number of conversations that the browser shows already. `current` is the phone of the open
    conversation. In the result, this conversation has 0 unread messages.
    """
    limit = min(max(shown, CONVERSATIONS), MOST_CONVERSATIONS)
    found = get_services().conversations.find_all(current_account(), below=below, limit=limit + 1)
    conversations = [one._replace(unread=0) if one.phone == current else one for one in found[:limit]]
    return {
        "conversations": conversations,
        "unread": count_unread(current),
        "next_conversation": conversations[-1].last.seq if len(found) > limit else None,
        "phone": current,
    }


def count_unread(current: str | None = None) -> int:
    """Return the number of unread conversations. `current` is the open conversation, which is not counted."""
    return get_services().conversations.count_unread(current_account(), selected=current)


def read_thread(phone: str, *, below: int = END, since: int = 0) -> dict[str, Any]:
    """Return the latest messages of a thread. With `since`, return the messages whose seq is at least `since`."""
    limit = MOST_MESSAGES if since else MESSAGES
    services, account = get_services(), current_account()
    find_thread = services.conversations.find_thread
    entries = find_thread(account, phone, below=below, since=since, limit=limit)
    earlier = entries and find_thread(account, phone, below=entries[-1].seq, limit=1)
    return {
        "phone": phone,
        "subscription": services.subscriptions.get(account, phone) if phone.startswith("+") else None,
        "entries": entries,
        "older": entries[-1].seq if earlier else None,
        "own_number": display.own_side(entries[0].message) if entries else "",
        "copies": find_copies(entries),
    }


def find_copies(entries: Sequence[Entry]) -> dict[str, Message]:
    """Return the released copies. The keys are the ids of the caught messages. The latest entry must be first."""
    return get_services().releasing.find_copies(current_account(), [entry.message for entry in entries])


def look_at_thread(phone: str, *, since: int = 0) -> dict[str, Any]:
    """Return the messages of `read_thread`, and mark the thread as read."""
    thread = read_thread(phone, since=since)
    get_services().conversations.mark_read(current_account(), phone, thread["entries"])
    return thread


def read_detail(message_id: str) -> dict[str, Any]:
    """Return the details of a message. Raises NotFound if the account has no message with this id."""
    services, account, key = get_services(), current_account(), current_key()
    entry = services.conversations.find_entry(account, message_id)
    message = entry.message
    is_own = services.gateway.sandbox and message.gateway in (None, services.gateway.name)
    return {
        "entry": entry,
        "steps": services.history.find(message_id, whole=account.name == DEFAULT_ACCOUNT).steps,
        "check": check_text(message.body),
        "json_text": json.dumps(dump_message(message), indent=2, ensure_ascii=False),
        "curl": display.write_curl(read_address(), key or "KEY", message),
        "curl_shown": display.write_curl(read_address(), "KEY", message),
        "fronts": [(front.name, front.describe_message(message)) for front in services.front_pages],
        "can_release": services.releasing.can_release(account, message),
        "can_force": is_own and message.direction == "outbound" and message.state == "unconfirmed",
        "message_errors": {name: ERROR_TYPES[name].title for name in MESSAGE_ERRORS},
        "release_refusal": services.releasing.find_refusal(message),
        "copy": find_copies([entry]).get(message_id),
    }


def read_address() -> str:
    """Return the URL that the browser uses for this server. The URL includes the path prefix of the app."""
    return request.url_root.rstrip("/")


def read_number(text: object, default: int = 0) -> int:
    """Read a number from the query string or a form. Returns `default` if the number is missing or not valid."""
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or len(text) > 18:
        return default
    return int(text)


def normalize_lines(text: str) -> str:
    """Replace each line end (CR LF, or CR alone) with LF. In a form, browsers send CR LF at the end of each line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
