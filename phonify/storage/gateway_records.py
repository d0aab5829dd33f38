"""The rows about gateways: states, receipts, provider ids and received texts. schema.sql explains the columns."""

from typing import Literal, NamedTuple

from .records import ReceiptResult


class ReceiptRow(NamedTuple):
    """A provider's report about a message. The fields are the columns of the table `receipts`, except `seq`."""

    gateway: str
    event_id: str
    message_id: str | None
    reference: str | None
    status: Literal["sent", "delivered", "undelivered"]
    error_type: str | None
    code: str
    partial: bool
    at: str
    received_at: str


class TextRow(NamedTuple):
    """A received text or a part of it. The fields are the columns of the table `received_texts`, except `seq`."""

    gateway: str
    event_id: str
    sender: str
    to_number: str | None
    body: str
    at: str
    received_at: str
    part_reference: str | None = None
    part_total: int | None = None
    part_number: int | None = None
    message_id: str | None = None
    due_at: str | None = None


class MessagePart(NamedTuple):
    """An id that the provider has given to a message, or to a part of a message."""

    part: int  # 1 for the first part; 0 or less for an id that first came in a receipt
    gateway: str
    reference: str
    status: ReceiptResult | None = None


class GatewayQueue(NamedTuple):
    """Three counts of the messages in a gateway's queue. The queue contains messages of all accounts."""

    due: int
    in_doubt: int
    look_ups: int  # messages that are due for a look-up


class GatewayState(NamedTuple):
    """The state of a gateway. All processes share this state."""

    name: str
    held: bool = False  # an operator has paused it
    paused_until: str | None = None
    faults: int = 0  # faults in a row
    fault: str | None = None  # the text of the last fault
    fault_at: str | None = None
    taken_at: str | None = None
    started_at: str | None = None  # when the latest server or worker started; None: that process lacks this gateway
