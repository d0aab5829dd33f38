"""Writes the parameters that Phonify posts to an app. They report a message status or a received message."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from ...clock import parse_time
from ...domain.webhook_kinds import Event
from ...schemas.twilio import API_VERSION, choose_status, write_account_sid, write_message_sid
from ...sms.segments import count_segments
from ...storage.front_records import FrontMessage
from ...storage.records import Delivery, Message, NewDelivery

FINAL = ("delivered", "undelivered", "failed", "canceled")  # after one of these, the status never changes
RECEIVED = "twilio.received"  # the event of a received message; for the status `sent`, the event is `twilio.sent`


class Payload(NamedTuple):
    """The content of a callback. It is stored as JSON in the column `payload`."""

    method: str
    parameters: dict[str, str]
    redirects: int = 0  # how many redirects have led to this request
    is_fallback: bool = False

    def write(self) -> str:
        """Return the payload as JSON."""
        return json.dumps(self._asdict())


def read_payload(delivery: Delivery) -> Payload:
    """Return the payload of a delivery."""
    return Payload(**json.loads(delivery.payload))


def list_statuses(event: Event, message: Message, kept: FrontMessage) -> list[str]:
    """Return the statuses that a message has had. `event` is the cause of the newest status.

    The oldest status is first. The initial status is not in the list.
    """
    if event == "message.accepted":
        return ["queued"] if kept.service_sid is not None and message.send_at is None else []
    first = ["queued"] if message.send_at is not None else []
    match event:
        case "message.in_doubt" | "message.sent":
            return [*first, "sent"]
        case "message.simulated":
            return [*first, "sent", "delivered"]
        case "message.delivered" | "message.undelivered" if message.state == "error":
            return []  # the error was final
        case _:
            final = choose_status(message).status
            if final in ("delivered", "undelivered"):
                return [*first, "sent", final]
            return [final] if final == "canceled" else [*first, final]


def list_untold(statuses: Sequence[str], events: Sequence[str]) -> list[str]:
    """Return the statuses for which there is no callback yet. `events` are the stored events of the message."""
    if any(f"twilio.{status}" in events for status in FINAL):
        return []
    return [status for status in statuses if f"twilio.{status}" not in events]


def tell_status(
    message: Message, kept: FrontMessage, status: str, ids: Iterator[str], now: datetime
) -> list[NewDelivery]:
    """Return one webhook delivery for each callback URL of the message.

    Each delivery contains `status`. Each URL gets the statuses one after another.
    """
    payload = Payload("POST", list_status_parameters(message, kept, status, now)).write()
    return [
        NewDelivery(
            next(ids),
            message.account_id,
            message.id,
            f"twilio.{status}",
            payload,
            url,
            sequence=f"{message.id} {url}",
        )
        for url in (kept.status_callback or "").split()
    ]


def list_status_parameters(message: Message, kept: FrontMessage, status: str, now: datetime) -> dict[str, str]:
    """Return the parameters of the webhook request for a message's status."""
    sid = write_message_sid(message, kept)
    parameters = {
        "SmsSid": sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": message.to_number,
        "MessageSid": sid,
        "AccountSid": write_account_sid(message.account_id),
        "From": message.origin_number,
        "ApiVersion": API_VERSION,
    }
    failure = choose_status(message)
    if status in ("failed", "undelivered") and failure.code is not None:
        parameters |= {"ErrorCode": str(failure.code), "ErrorMessage": failure.meaning or ""}
    if status in ("delivered", "undelivered"):
        done = parse_time(message.receipt_at) if message.receipt_at is not None else now
        parameters["RawDlrDoneDate"] = done.strftime("%y%m%d%H%M")
    if kept.service_sid is not None:
        parameters["MessagingServiceSid"] = kept.service_sid
    return parameters


def list_inbound_parameters(message: Message) -> dict[str, str]:
    """Return the parameters of the webhook request for a received message."""
    sid = write_message_sid(message, FrontMessage())
    parameters = {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": write_account_sid(message.account_id),
        "From": message.origin_number,
        "To": message.to_number,
        "Body": message.body,
        "NumMedia": "0",
        "NumSegments": str(count_segments(message.body)[0]),
        "SmsStatus": "received",
        "ApiVersion": API_VERSION,
    }
    for side, country in (("From", message.origin_country), ("To", message.to_country)):
        parameters |= {f"{side}City": "", f"{side}State": "", f"{side}Zip": "", f"{side}Country": country or ""}
    return parameters
