"""Receives messages from phones.

One transaction stores the message and all its effects, such as an opt-out, a reply or a webhook event.
"""

from datetime import timedelta

from ..clock import Clock, format_time
from ..errors import Fault, InvalidRequest
from ..ids import generate_ids
from ..schemas.fields import Recipient, read_own_number
from ..schemas.requests import Draft
from ..sms.numbers import Number, parse_originator
from ..storage import messages as store
from ..storage import webhooks as webhook_store
from ..storage.database import Connection, Database
from ..storage.records import Account, Criteria, Message
from .rules import Rules, read_text
from .sending import Sending, write_message
from .subscriptions import Subscriptions
from .webhooks import Webhooks


class Receiving:
    """Receives messages from phones."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        webhooks: Webhooks,
        subscriptions: Subscriptions,
        sending: Sending,
        rules: Rules,
    ) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._sending = sending
        self._rules = rules

    def receive(self, account: Account, *, sender: Number, body: str, to: Number | None = None) -> Message:
        """Store a message from a phone.

        If the account has a webhook, the message is `unconfirmed` until the webhook has accepted it. A keyword such as
        STOP ends the phone's subscription. A keyword such as START begins the subscription. If the account has set a
        reply to the keyword, the phone gets the reply.

        `to` is the recipient's number. If `to` is None, Phonify uses the sender of the latest message from the account
        to the phone. For a phone without messages, Phonify uses the account's default sender. Raises InvalidRequest if
        a phone can't write to the sender that Phonify uses.
        """
        to = to or self._find_own_number(account, sender)
        with self._database.write() as connection:
            return self.receive_within(connection, account, sender=sender, body=body, to=to)

    def receive_within(
        self,
        connection: Connection,
        account: Account,
        *,
        sender: Number,
        body: str,
        to: Number,
        apply_rules: bool = True,
    ) -> Message:
        """Use the caller's transaction to store a message from a phone. See `receive`.

        If `apply_rules` is false, no rule of the sandbox applies to the phone's message. Rules always apply to
        automatic replies. A rule can make the phone send another text later.
        """
        now = self._clock.now()
        ids = generate_ids(now, after=store.get_last_message_id(connection))
        message = write_message(account, "inbound", sender, to, body, id_=next(ids), now=now)
        webhook = webhook_store.get_webhook(connection, account_id=account.id)
        if webhook is None or not webhook.enabled:
            message = message._replace(state="sent", finished_at=message.created_at)
        reply = self._subscriptions.apply_keyword(connection, account, sender.number, body, now=format_time(now))
        replies = []
        if reply is not None and self._may_reply(sender, to, reply):
            draft = Draft([Recipient(sender, None)], body=reply)
            answer = self._sending.compose(account, sender, draft, origin=to, id_=next(ids), now=now)
            # An opt-out stops all messages that were created before it. So the reply is created 1 ms later.
            # The reply does not use the quota of the account.
            replies = [answer._replace(created_at=format_time(now + timedelta(milliseconds=1)))]
        texts = [read_text(message) if apply_rules else None, *map(read_text, replies)]
        met = zip([message, *replies], self._rules.meet(connection, account.id, texts), strict=True)
        kept = [(one, rule) for one, rule in met if rule is None or rule.outcome != "refused"]
        store.insert_messages(connection, messages=[one for one, _ in kept])
        self._rules.note(connection, kept)
        self._rules.plan_effects(connection, [message], now)
        self._webhooks.enqueue(connection, "message.received", [message], now)
        return message

    def reply_within(self, connection: Connection, account: Account, message: Message, body: str) -> None:
        """Store a phone's reply. The phone is the sender or the recipient of `message`.

        The reply goes to the account's number in `message`. If `message` has a sender name instead of this number, this
        method does nothing. A phone can't reply to a sender name. No rule applies to the reply.
        """
        own = message.origin_number if message.direction == "outbound" else message.to_number
        try:
            to = read_own_number(own)
        except ValueError:
            return
        phone = parse_originator(message.other_side)
        self.receive_within(connection, account, sender=phone, body=body, to=to, apply_rules=False)

    def _may_reply(self, sender: Number, to: Number, reply: str) -> bool:
        """Return whether Phonify can send a reply. Phonify never replies to the account's own number."""
        refusal = self._sending.find_refusal(sender.number, origin=to.number, body=reply)
        return sender.number != to.number and refusal is None

    def _find_own_number(self, account: Account, phone: Number) -> Number:
        """Return the default recipient for a phone's message. See `receive`."""
        got = self._sending.find_all(account, Criteria(to=phone.number, direction="outbound"), limit=1)
        number = got[0].origin_number if got else self._sending.default_origin(account)
        try:
            return read_own_number(number)
        except ValueError as error:
            raise InvalidRequest([Fault("invalid_msisdn", "to")]) from error
