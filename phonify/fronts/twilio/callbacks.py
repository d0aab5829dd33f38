"""Webhooks in Twilio's format. They post each new status of a message, and each received message."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from ...domain.fronts import Fronts
from ...domain.sending import Sending
from ...domain.subscriptions import Subscriptions
from ...domain.webhook_kinds import Event, Result, Target, Verdict, WebhookKind
from ...domain.webhooks import Webhooks
from ...ids import generate_ids
from ...outgoing.http_client import Answer, Request
from ...schemas.fields import Recipient
from ...schemas.requests import Draft
from ...sms.numbers import parse_msisdn, parse_originator
from ...storage.database import Connection
from ...storage.front_records import FrontMessage
from ...storage.records import Delivery, Message, NewDelivery
from .parameters import FRONT, MAX_BODY, MAX_MEDIA, is_media_url
from .payloads import (
    RECEIVED,
    Payload,
    list_inbound_parameters,
    list_statuses,
    list_untold,
    read_payload,
    tell_status,
)
from .requests import build_request, read_options
from .twiml import MOST_TWIML, Document, Redirect, Reply, TwimlFault, read_answer

MOST_REDIRECTS = 10
MOST_REPLIES = 10  # <Message> elements in one TwiML document
# Phonify shows at most MOST_WARNINGS warnings, and at most MOST_CHARACTERS characters of each warning.
MOST_WARNINGS, MOST_CHARACTERS = 5, 120
FIRST_RETRY = 1.0  # seconds before the first retry; the delay doubles with each further retry


class TwilioCallbacks(WebhookKind):
    """Posts each status to the message's callback URL. Posts each received message to the account's inbound URL."""

    name = FRONT

    def __init__(self, fronts: Fronts, webhooks: Webhooks, subscriptions: Subscriptions, sending: Sending) -> None:
        self._fronts = fronts
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._sending = sending

    # What is posted

    def compose(
        self, connection: Connection, event: Event, messages: Sequence[Message], now: datetime
    ) -> list[NewDelivery]:
        """Return the webhook deliveries that report an event to the app."""
        ids = generate_ids(now)
        if event == "message.received":
            return [one for message in messages for one in self._tell_received(connection, message, ids)]
        found = []
        for message in messages:
            if message.front == FRONT:
                kept = self._fronts.get_message(connection, message)
                if kept.status_callback is not None:
                    told = self._webhooks.list_events(connection, self, message)
                    for status in list_untold(list_statuses(event, message, kept), told):
                        found += tell_status(message, kept, status, ids, now)
                if kept.parameters.get("ContentRetention") == "discard" and message.state != "unconfirmed":
                    self._fronts.empty_body(connection, message)
        return found

    def _tell_received(self, connection: Connection, message: Message, ids: Iterator[str]) -> list[NewDelivery]:
        account = self._fronts.get_account(connection, message.account_id)
        if account is None or account.inbound_url is None:
            return []
        parameters = list_inbound_parameters(message)
        keyword = self._subscriptions.find_answered_keyword(connection, message.account_id, message.body)
        if keyword is not None:
            parameters["OptOutType"] = keyword.upper()
        payload = Payload(account.inbound_method, parameters)
        url = account.inbound_url
        return [NewDelivery(next(ids), message.account_id, message.id, RECEIVED, payload.write(), url)]

    def find_target(self, connection: Connection, delivery: Delivery) -> Target | None:
        """Return two values: the delivery's URL, and the account's auth token.

        The auth token is the key for the signature.
        """
        account = self._fronts.get_account(connection, delivery.account_id)
        return Target(delivery.url, account.auth_token) if account is not None and delivery.url else None

    def build_request(self, delivery: Delivery, target: Target, at: datetime) -> Request:  # noqa: ARG002 - no time is sent
        """Return the request."""
        payload = read_payload(delivery)
        return build_request(
            payload.method,
            target.url,
            payload.parameters,
            auth_token=target.secret,
            token=delivery.id,
            most_answer=MOST_TWIML + 1,
        )

    # What an answer means

    def judge(self, delivery: Delivery, answer: Answer) -> Verdict:
        """Decide from the app's answer whether the app accepted a delivery.

        If the delivery reports a message's status, the app accepts the delivery with any HTTP status 2xx.
        If the delivery contains a received message, the answer must be TwiML, plain text or empty. If this answer is
        valid, `Verdict.content` is a `Document`. If this answer is not valid, `Verdict.content` is Twilio's error code.
        """
        if delivery.event != RECEIVED:
            return super().judge(delivery, answer)
        try:
            document = self._read(delivery, answer)
        except TwimlFault as fault:
            return Verdict(accepted=False, error=str(fault), content=fault.code)
        shown = [warning[:MOST_CHARACTERS] for warning in document.warnings[:MOST_WARNINGS]]
        more = len(document.warnings) - len(shown)
        error = "; ".join([*shown, *([f"and {more} more warnings"] if more else [])])
        return Verdict(accepted=True, error=error or None, content=document)

    def _read(self, delivery: Delivery, answer: Answer) -> Document:
        document = read_answer(answer, delivery.url or "")
        if document.redirect is not None:
            self._check_redirect(delivery, document.redirect)
        warnings, replies = [*document.warnings], []
        for reply in document.replies[:MOST_REPLIES]:
            fault = self._find_reply_fault(reply, self._draft(delivery, reply))
            if fault is None:
                replies.append(reply)
            else:
                warnings.append(fault)
        if len(document.replies) > MOST_REPLIES:
            warnings.append(f"14100: only the first {MOST_REPLIES} messages are sent")
        return Document(tuple(replies), document.redirect, tuple(dict.fromkeys(warnings)))

    def _check_redirect(self, delivery: Delivery, redirect: Redirect) -> None:
        """Raise TwimlFault if the redirect can't be followed."""
        if read_payload(delivery).redirects >= MOST_REDIRECTS:
            raise TwimlFault(11200, f"there were more than {MOST_REDIRECTS} redirects")
        if redirect.method not in ("GET", "POST") or not self._fronts.is_url(redirect.url):
            raise TwimlFault(11200, f"{redirect.url[:MOST_CHARACTERS]} can't be fetched")

    def _find_reply_fault(self, reply: Reply, draft: Draft | None) -> str | None:
        fault = None
        if draft is None:
            fault = "21211: the number in `to` or `from` of <Message> is not valid"
        elif draft.to[0].number == draft.origin:
            fault = "21266: `to` and `from` of <Message> are the same"
        elif not reply.body and not reply.media:
            fault = "14103: <Message> has no text and no media"
        elif len(reply.body) > MAX_BODY:
            fault = f"21617: the text of <Message> is longer than {MAX_BODY:,} characters"
        elif bad := [url for url in reply.media if not is_media_url(url)]:
            fault = f"21620: the media URL {bad[0]} is not valid"
        elif len(reply.media) > MAX_MEDIA:
            fault = f"21623: <Message> has more than {MAX_MEDIA} media URLs"
        elif bad := [url for url in reply.callbacks if not self._fronts.is_url(url)]:
            fault = f"21609: {bad[0]} can't be posted to"
        return fault

    def _draft(self, delivery: Delivery, reply: Reply) -> Draft | None:
        received = read_payload(delivery).parameters
        try:
            to, origin = parse_msisdn(reply.to or received["From"]), parse_originator(reply.origin or received["To"])
        except ValueError:
            return None
        kept = FrontMessage(is_reply=True, status_callback=" ".join(reply.callbacks) or None, media=reply.media)
        return Draft(to=[Recipient(to, "to")], body=reply.body, origin=origin, front=kept, front_name=FRONT)

    def choose_delay(self, result: Result) -> float | None:
        """Return the seconds until a retry, or None if there is no retry.

        The fragment of the delivery's URL can contain options for retries. Without these options, there is one retry
        if Phonify could not connect, and no retry after other failures.
        """
        options, retries = read_options(result.delivery.url or ""), result.delivery.retries
        if result.answer is not None:
            reason = f"{result.answer.status // 100}xx"
        else:
            reason = "rt" if result.failure is not None and result.failure.connected else "ct"
        if reason not in options.reasons or retries >= options.retries:
            return None
        return FIRST_RETRY * 2.0**retries

    def conclude(self, connection: Connection, result: Result, now: datetime) -> None:
        """Do what the app's TwiML says. If the answer can't be used, post to the fallback URL."""
        delivery, content = result.delivery, result.verdict.content
        if delivery.event != RECEIVED:
            return
        if isinstance(content, Document):
            self._act(connection, delivery, content, now)
            return
        account, payload = self._fronts.get_account(connection, delivery.account_id), read_payload(delivery)
        if account is None or account.fallback_url is None or payload.is_fallback:
            return
        parameters = {**payload.parameters, "ErrorCode": str(content or 11200), "ErrorUrl": delivery.url or ""}
        fallback = Payload(account.fallback_method, parameters, is_fallback=True)
        self._add(connection, delivery, account.fallback_url, fallback, now)

    def _act(self, connection: Connection, delivery: Delivery, document: Document, now: datetime) -> None:
        owner = self._fronts.get_owner(connection, delivery.account_id)
        for reply in document.replies:
            if owner is not None and (draft := self._draft(delivery, reply)) is not None:
                self._sending.send_within(connection, owner, draft)
        if document.redirect is not None:
            payload = read_payload(delivery)
            payload = payload._replace(method=document.redirect.method, redirects=payload.redirects + 1)
            self._add(connection, delivery, document.redirect.url, payload, now)

    def _add(self, connection: Connection, delivery: Delivery, url: str, payload: Payload, now: datetime) -> None:
        """Store a new delivery to `url`. The new delivery contains the same received message as `delivery`."""
        id_, written = next(generate_ids(now)), payload.write()
        one = NewDelivery(id_, delivery.account_id, delivery.message_id, RECEIVED, written, url)
        self._webhooks.add(connection, self, [one], now)
