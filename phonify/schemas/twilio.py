"""This module shows messages in the form of Twilio's API 2010-04-01.

Phonify computes each SID from an id in the database. The database does not store SIDs.
"""

import re
from email.utils import format_datetime
from typing import Any, NamedTuple

from ..clock import parse_time
from ..sms.segments import count_segments
from ..storage.front_records import FrontMessage
from ..storage.records import Message

API_VERSION = "2010-04-01"
PRICE = 0.0083  # US dollars for each segment; not a real price, but apps can test their calculations with it
_MESSAGE_SID = re.compile(r"(?:SM|MM)([0-9a-f]{32})")
_RANGE = 1 << 128  # the account of a test run has a negative number; its SID is a two's complement
_UNKNOWN_CODE = 30008
_NUMBER_SID = re.compile(r"(?:AC|SK)([0-9a-f]{32})")

# For each error type: the status and the code of a message in state `error`.
FAILURES: dict[str, tuple[str, int | None]] = {
    "canceled": ("canceled", None),
    "opted_out": ("failed", 21610),
    "country_not_permitted": ("failed", 21408),
    "sender_not_permitted": ("failed", 21606),
    "recipient_not_permitted": ("failed", 21612),
    "quota_used_up": ("failed", 30001),
    "queue_overflow": ("failed", 30001),
    "account_suspended": ("failed", 30002),
    "validity_expired": ("failed", 30036),
    "unreachable_handset": ("undelivered", 30003),
    "blocked_by_recipient": ("undelivered", 30004),
    "invalid_number": ("undelivered", 30005),
    "unroutable_number": ("undelivered", 30005),
    "unknown_handset": ("undelivered", 30005),
    "cannot_receive_sms": ("undelivered", 30006),
    "filtered_by_carrier": ("undelivered", 30007),
    "delivery_failed": ("undelivered", _UNKNOWN_CODE),
}
MEANINGS = {
    21408: "Permission to send an SMS has not been enabled for the region",
    21606: "The From phone number is not a valid, SMS-capable number",
    21610: "Attempt to send to unsubscribed recipient",
    21612: "The To phone number is not currently reachable",
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30036: "Validity period expired",
}


def write_account_sid(account_id: int) -> str:
    """Return the SID of an account. It is AC, followed by the account's number as 32 hexadecimal digits."""
    return f"AC{account_id % _RANGE:032x}"


def read_number_sid(sid: str) -> int | None:
    """Return the id that an account SID or a key SID contains. Returns `None` if the SID is not valid."""
    found = _NUMBER_SID.fullmatch(sid)
    number = int(found[1], 16) if found else 0
    number -= _RANGE if number >= _RANGE // 2 else 0
    return number if number and -(2**63) < number < 2**63 else None


def write_message_sid(message: Message, kept: FrontMessage) -> str:
    """Return the SID of a message.

    It begins with SM, or with MM if the message has media. Then comes the message's id without hyphens.
    """
    return f"{'MM' if kept.media else 'SM'}{message.id.replace('-', '')}"


def read_message_sid(sid: str) -> str | None:
    """Convert the SID of a message to the message's id. Returns `None` if the SID is not valid."""
    found = _MESSAGE_SID.fullmatch(sid)
    if found is None:
        return None
    digits = found[1]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def write_date(time: str | None) -> str | None:
    """Convert a stored time to the format of RFC 2822. The result is in UTC."""
    return format_datetime(parse_time(time)) if time is not None else None


class Status(NamedTuple):
    """The status and the error code of a message."""

    status: str
    code: int | None = None

    @property
    def meaning(self) -> str | None:
        """The meaning of the error code."""
        return MEANINGS[self.code] if self.code is not None else None


def choose_status(message: Message, *, simulated: bool = False) -> Status:
    """Return the status of a message.

    If `simulated` is true, a sandbox has caught the message: no phone gets it. When such a message is sent, its status
    becomes `delivered`, even if Phonify has no receipt.
    """
    if message.direction == "inbound":
        return Status("received")
    if message.error_type is not None:
        return Status(*FAILURES.get(message.error_type, ("undelivered", _UNKNOWN_CODE)))
    if message.state == "sent":
        return _judge_receipt(message) or Status("delivered" if simulated else "sent")
    if message.submitted_at is not None and message.due_at == message.expires_at:
        return Status("sent")  # in doubt: nobody knows whether it was delivered
    if message.send_at is not None and message.attempts == 0 and message.due_at == message.send_at:
        return Status("scheduled")
    return Status("queued")


def _judge_receipt(message: Message) -> Status | None:
    """Convert the delivery receipt to a status. Returns `None` if the message has no receipt.

    If the receipt says `undelivered`, the result contains an error code. If `MEANINGS` contains the receipt's code, the
    error code is the receipt's code. Otherwise, the error code is `_UNKNOWN_CODE`.
    """
    if message.receipt_status != "undelivered":
        return Status("delivered") if message.receipt_status is not None else None
    codes = {str(code): code for code in MEANINGS}
    return Status("undelivered", codes.get(message.receipt_code or "", _UNKNOWN_CODE))


def _find_sent_at(message: Message, status: str) -> str | None:
    """Return the time when a message was received, was sent or failed. None means that there is no such time."""
    if message.direction == "inbound":
        return message.created_at
    if status == "sent" and message.state == "unconfirmed":
        return message.submitted_at
    return None if status == "canceled" else message.finished_at


def dump_twilio_message(
    message: Message, kept: FrontMessage, *, simulated: bool, accepted: bool = False
) -> dict[str, Any]:
    """Convert a message to the format of Twilio's API. `choose_status` explains `simulated`.

    Set `accepted` to true if the request contains the SID of a messaging service. In this case, the answer contains no
    sender.
    """
    status = choose_status(message, simulated=simulated)
    sid, account_sid = write_message_sid(message, kept), write_account_sid(message.account_id)
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{sid}"
    segments = 0 if accepted else count_segments(message.body)[0]
    outbound = message.direction == "outbound"
    billed = outbound and status.status in ("delivered", "undelivered")
    return {
        "sid": sid,
        "account_sid": account_sid,
        "messaging_service_sid": kept.service_sid,
        "to": message.to_number,
        "from": None if accepted else message.origin_number,
        "body": message.body,
        "status": "accepted" if accepted and status.status == "queued" else status.status,
        "direction": "inbound" if not outbound else "outbound-reply" if kept.is_reply else "outbound-api",
        "date_created": write_date(message.created_at),
        "date_updated": write_date(max(message.finished_at or message.created_at, message.receipt_at or "")),
        "date_sent": write_date(_find_sent_at(message, status.status)),
        "num_segments": str(segments),
        "num_media": str(len(kept.media)),
        "price": f"-{PRICE * segments:.5f}" if billed else None,
        "price_unit": "USD" if billed else None,
        "error_code": status.code,
        "error_message": status.meaning,
        "api_version": API_VERSION,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
    }
