"""The records that the functions of `storage/` take and return. schema.sql explains the columns."""

from typing import Literal, NamedTuple

State = Literal["unconfirmed", "sent", "error"]
Direction = Literal["outbound", "inbound"]
Reason = Literal["keyword", "api", "inbox", "command"]
AttemptOutcome = Literal["rejected", "unavailable", "unconfirmed"]
ReceiptResult = Literal["delivered", "undelivered"]
DeliveryState = Literal["pending", "delivered", "failed"]


class Account(NamedTuple):
    """An account of this server."""

    id: int
    name: str
    origin: str | None
    created_at: str
    quota: int | None = None  # messages a day
    rate_limit: int | None = None  # requests a minute
    creator_id: int | None = None  # only for a test run: the creator of the run. The creator's limits apply.

    @property
    def limits_id(self) -> int:
        """The id of the account whose limits apply. For a test run, this is the id of the run's creator."""
        return self.id if self.creator_id is None else self.creator_id


class ApiKey(NamedTuple):
    """Data about a key. The key itself is not stored."""

    id: int
    account: str
    name: str
    created_at: str
    revoked_at: str | None
    used_at: str | None


class KeyOwner(NamedTuple):
    """A valid API key or a valid session, with its account."""

    key_id: int | None  # None: the user signed in with a link
    used_at: str | None
    expires_at: str | None  # only for a test run: the end of the run
    account: Account


class Run(NamedTuple):
    """A test run."""

    id: str
    account_id: int
    creator_id: int
    name: str | None
    created_at: str
    expires_at: str


class Party(NamedTuple):
    """The sender or the recipient of a message."""

    number: str
    country: str | None
    carrier: str | None


class ShownReceipt(NamedTuple):
    """A provider's final report about a message."""

    status: ReceiptResult
    at: str
    code: str | None  # the provider's own code


class Message(NamedTuple):
    """A row of the table `messages`. The columns `seq` and `lease_owner` are not included."""

    id: str
    account_id: int
    direction: Direction
    body: str
    origin_number: str
    origin_country: str | None
    origin_carrier: str | None
    to_number: str
    to_country: str | None
    to_carrier: str | None
    state: State
    created_at: str
    error_type: str | None = None
    send_at: str | None = None
    due_at: str | None = None
    expires_at: str | None = None
    attempts: int = 0
    submitted_at: str | None = None
    finished_at: str | None = None
    request_id: str | None = None
    front: str | None = None
    key_id: int | None = None
    submitted_to: str | None = None
    gateway: str | None = None
    receipt_status: ReceiptResult | None = None
    receipt_at: str | None = None
    receipt_code: str | None = None
    released_from: str | None = None  # only for a released copy: the id of the caught message

    @property
    def origin(self) -> Party:
        """The sender."""
        return Party(self.origin_number, self.origin_country, self.origin_carrier)

    @property
    def phone(self) -> Party:
        """The recipient."""
        return Party(self.to_number, self.to_country, self.to_carrier)

    @property
    def receipt(self) -> ShownReceipt | None:
        """The delivery receipt, or None if there is none yet."""
        if self.receipt_status is None or self.receipt_at is None:
            return None
        return ShownReceipt(self.receipt_status, self.receipt_at, self.receipt_code)

    @property
    def is_scheduled(self) -> bool:
        """True if the message is scheduled, and Phonify has not tried to send the message yet."""
        return self.state == "unconfirmed" and self.attempts == 0 and self.send_at is not None

    @property
    def in_doubt(self) -> bool:
        """Whether the message is in doubt. That means: nobody knows whether the gateway has taken the message."""
        return self.state == "unconfirmed" and self.submitted_at is not None and self.due_at == self.expires_at

    @property
    def other_side(self) -> str:
        """The number of the phone: the recipient of an outbound message, or the sender of an inbound message."""
        return self.to_number if self.direction == "outbound" else self.origin_number


class Criteria(NamedTuple):
    """The criteria for a list of messages. If a criterion is None, it matches every message."""

    to: str | None = None
    origin: str | None = None
    phone: str | None = None  # the sender or the recipient
    state: State | None = None
    direction: Direction | None = None
    q: str | None = None  # a part of the body; the case of ASCII letters does not matter
    after: str | None = None  # a message id; messages with a greater id match
    before: str | None = None  # a message id; messages with a smaller id match
    reference: str | None = None  # the provider's id
    sent_from: str | None = None  # inclusive; for the compared time, see `_SENT_AT` in `messages.py`
    sent_until: str | None = None  # exclusive


class MessageAttempt(NamedTuple):
    """An attempt to send a message. The attempt failed, or its result is unknown."""

    attempt: int
    at: str
    outcome: AttemptOutcome
    due_at: str | None = None  # the time of the next attempt


class Trace(NamedTuple):
    """A message and data about it: the account, the name of the API key, and the owner of the lease."""

    message: Message
    account: Account
    key: str | None  # None: it was stored without a key, or the key was removed
    lease_owner: str | None


class Answer(NamedTuple):
    """The stored answer for an idempotency key. The first request with this key got this answer."""

    request_hash: str
    status: int
    answer: str


class Entry(NamedTuple):
    """A message and its seq."""

    seq: int
    message: Message


class Conversation(NamedTuple):
    """A row in the list of conversations."""

    phone: str
    last: Entry
    unread: int  # at most MOST_UNREAD of `conversations.py`


class SubscriptionRow(NamedTuple):
    """A phone's subscription to the messages of an account.

    If `subscribed` is true, the account may send messages to the phone.
    """

    phone: str
    subscribed: bool
    changed_at: str | None  # None: the phone never opted out
    reason: Reason | None


class KeywordReplies(NamedTuple):
    """An account's keywords and replies."""

    stop_keywords: tuple[str, ...] = ()
    stop_reply: str | None = None
    start_reply: str | None = None
    help_reply: str | None = None


class Webhook(NamedTuple):
    """The webhook of an account. Phonify posts events to the URL of the webhook."""

    url: str
    secret: str
    created_at: str
    disabled_at: str | None = None  # None: enabled
    former_secret: str | None = None  # until `former_until`, Phonify signs events with both secrets
    former_until: str | None = None

    @property
    def enabled(self) -> bool:
        """True if Phonify posts events to the URL."""
        return self.disabled_at is None


class LabRun(NamedTuple):
    """The latest webhook lab of an account."""

    account_id: int
    id: str
    form: str
    started_at: str
    until: str  # if the lab is not finished at this time, its process has ended
    trial: str | None = None  # the trial that is running
    finished_at: str | None = None
    report: str | None = None  # JSON; None if the lab is running or was interrupted


class WebhookAttempt(NamedTuple):
    """One attempt to deliver an event, and its result."""

    attempt: int
    at: str
    took_ms: int
    status: int | None
    answer: str | None
    error: str | None

    @property
    def result(self) -> str:
        """The status and the error, in a form that people can read."""
        return ", ".join(str(found) for found in (self.status, self.error) if found)


class NewDelivery(NamedTuple):
    """A delivery that is not stored yet."""

    id: str
    account_id: int
    message_id: str | None
    event: str
    payload: str
    url: str | None = None  # None: the account's webhook
    sequence: str | None = None  # deliveries of one sequence are posted one after another


class Delivery(NamedTuple):
    """A row of the table `webhook_deliveries`. The column `lease_owner` is not included. `tries` is not a column."""

    seq: int
    id: str
    account_id: int
    message_id: str | None
    event: str
    payload: str
    state: DeliveryState
    created_at: str
    due_at: str | None
    attempts: int
    retries: int
    finished_at: str | None
    kind: str
    url: str | None
    sequence: str | None
    tries: tuple[WebhookAttempt, ...] = ()  # the attempts, oldest first; empty if they were not read
