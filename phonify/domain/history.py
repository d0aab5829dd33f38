"""The history of a message. The inbox and the command `explain` show what happened to the message, and when."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..clock import Clock, format_time
from ..errors import Fault, NotFound
from ..schemas.rule_words import describe_met_rule
from ..storage import conversations as conversation_store
from ..storage import gateways as gateway_store
from ..storage import receipts as receipt_store
from ..storage import rules as rule_store
from ..storage.database import Connection, Database
from ..storage.gateway_records import GatewayState, MessagePart, ReceiptRow
from ..storage.records import Account, Delivery, Message, MessageAttempt, Trace
from ..storage.rule_records import MetRule
from .gateway_health import GatewayHealth
from .webhooks import Webhooks

State = Literal["done", "waiting", "failed"]

_OUTCOMES = {
    "rejected": "the gateway refused it",
    "unavailable": "the gateway could not take it at that time",
    "unconfirmed": "nobody knows whether the gateway accepted the message. Phonify does not send the message again",
}
_REPEATED = (
    "nobody knows whether the gateway accepted the message. Phonify sends the message again. The gateway recognises"
    " repeated messages, so the phone gets the message only once"
)
_DELIVERY_STATES: dict[str, State] = {"pending": "waiting", "delivered": "done", "failed": "failed"}


class Part(NamedTuple):
    """A detail of a step."""

    at: str
    text: str


class Step(NamedTuple):
    """A step in a message's history."""

    at: str
    text: str
    state: State
    parts: tuple[Part, ...] = ()


class History(NamedTuple):
    """The history of one message. The list of steps begins with the oldest step."""

    message: Message
    account: Account
    steps: list[Step]


class Histories:
    """Reads the histories of messages."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        webhooks: Webhooks,
        *,
        healths: Mapping[str, GatewayHealth],
    ) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._healths = healths  # of the gateways of this server, by name

    def find(self, message_id: str, *, whole: bool = False) -> History:
        """Return the history of a message. Raises NotFound if no account has a message with this id.

        If `whole` is true, the history includes the descriptions of gateway faults. Only the operator is allowed to see
        these descriptions.
        """
        with self._database.reading() as connection:
            trace = conversation_store.get_trace(connection, message_id=message_id)
            if trace is None:
                raise NotFound
            attempts = conversation_store.list_attempts(connection, message_id=message_id)
            parts = receipt_store.list_parts(connection, message_id=message_id)
            receipts = receipt_store.list_receipts(connection, message_id=message_id)
            met = rule_store.find_met_rules(connection, message_ids=[message_id]).get(message_id)
            name, now = trace.message.gateway or "", format_time(self._clock.now())
            health, state = self._healths.get(name), gateway_store.get_state(connection, name=name)
            wait = _find_wait(connection, trace, health, now, whole=whole)
        wait = wait or _find_former_wait(trace.message, attempts, state, now, whole=whole)
        deliveries = self._webhooks.list_for_message(trace.account, message_id)
        is_inbound = trace.message.direction == "inbound"
        steps = [
            *(_list_received(trace, met) if is_inbound else _list_sent(trace, attempts, parts, met)),
            *_list_reply(met),
            *([wait] if wait is not None else []),
            *map(_describe_receipt, receipts),
            *map(_describe_delivery, reversed(deliveries)),
        ]
        return History(trace.message, trace.account, sorted(steps, key=lambda step: step.at))


def _list_reply(met: MetRule | None) -> list[Step]:
    """Return the step of a planned reply or a planned receipt. Returns an empty list if nothing is planned."""
    if met is None or met.due_at is None:
        return []
    what = "The phone replies" if met.outcome == "reply" else f"Receipt: {met.outcome}"
    return [Step(met.due_at, f"{what}, because of the rule", "waiting")]


def _list_received(trace: Trace, met: MetRule | None) -> list[Step]:
    message = trace.message
    steps = [Step(message.created_at, "Received and stored", "done", (*_list_origins(trace), *_list_rule(trace, met)))]
    if message.state == "unconfirmed":
        steps.append(Step(message.created_at, "Waiting for delivery to the webhook", "waiting"))
    elif message.state == "error":
        steps.append(Step(message.finished_at or "", _explain(message), "failed"))
    return steps


def _list_sent(
    trace: Trace, attempts: list[MessageAttempt], parts: list[MessagePart], met: MetRule | None
) -> list[Step]:
    """Return the steps in the history of an outbound message. `parts` has the provider's ids."""
    message = trace.message
    cancelled = message.error_type == "canceled"
    refused = (
        message.state == "error"
        and message.attempts == 0
        and message.finished_at == message.created_at
        and not cancelled
    )
    passed = "A check refused it" if refused else "It passed the checks: number, gateway, opt-out, quota"
    details = *_list_origins(trace), Part(message.created_at, passed), *_list_rule(trace, met)
    steps = [Step(message.created_at, "Accepted and stored", "done", details)]
    if message.send_at is not None and not cancelled:
        steps.append(Step(message.send_at, "Scheduled to be sent", "done" if message.attempts else "waiting"))
    for attempt in attempts:
        again = attempt.outcome == "unconfirmed" and attempt.due_at is not None
        text = f"Attempt {attempt.attempt}: {_REPEATED if again else _OUTCOMES[attempt.outcome]}"
        steps.append(Step(attempt.at, text, "failed" if attempt.outcome == "rejected" else "waiting"))
    ended_at = message.finished_at or ""
    references = tuple(Part(ended_at, f"Provider's id {one.reference}, gateway {one.gateway}") for one in parts)
    if message.state == "sent":
        was_in_doubt = any(one.attempt == message.attempts and one.outcome == "unconfirmed" for one in attempts)
        source = "a receipt says that " if was_in_doubt else ""
        taken = f"Attempt {message.attempts}: {source}the gateway accepted the message"
        steps.append(Step(ended_at, taken, "done", references))
    elif cancelled:
        planned = Part(message.send_at or "", "It was scheduled for this time")
        steps.append(Step(ended_at, "Cancelled", "failed", (planned,)))
    elif message.state == "error":
        steps.append(Step(ended_at, f"Failed: {_explain(message)}", "failed", references))
    elif trace.lease_owner is not None:
        lease = Part(message.submitted_at or "", f"Process {trace.lease_owner} has the lease until {message.due_at}")
        steps.append(Step(message.submitted_at or "", f"Attempt {message.attempts} has begun", "waiting", (lease,)))
    elif attempts and attempts[-1].due_at is not None:
        steps.append(Step(attempts[-1].due_at, f"Attempt {attempts[-1].attempt + 1} is due", "waiting"))
    elif message.expires_at is not None:
        steps.append(Step(message.expires_at, "End of the validity period", "waiting"))
    return steps


def _list_rule(trace: Trace, met: MetRule | None) -> list[Part]:
    # The database does not know when a person chose the outcome of a message.
    return [Part(trace.message.created_at, describe_met_rule(met))] if met is not None else []


def _explain(message: Message) -> str:
    return Fault(message.error_type).title if message.error_type else ""


def _list_origins(trace: Trace) -> tuple[Part, ...]:
    """List the request, the API key, the front and the gateway of a message.

    A front is a part of Phonify, such as the Twilio-compatible API. If the message is a copy of a released message, the
    result also contains the id of the released message. Some of these values can be missing. For example,
    a command creates messages without a request. If a user has signed in with a link, the user's messages have no API
    key.
    """
    message, parts = trace.message, []
    if message.request_id is not None:
        parts.append(f"Request {message.request_id}")
    if message.key_id is not None:
        parts.append(f"Key {message.key_id}" + (f", {trace.key}" if trace.key else ""))
    if message.front is not None:
        parts.append(f"Front {message.front}")
    if message.released_from is not None:
        parts.append(f"Copy of the released message {message.released_from}")
    if message.gateway is not None:
        what = "Released to" if message.released_from is not None else "For"
        parts.append(f"{what} the gateway {message.gateway}")
    return tuple(Part(message.created_at, text) for text in parts)


def _find_wait(
    connection: Connection, trace: Trace, health: GatewayHealth | None, now: str, *, whole: bool
) -> Step | None:
    """Return why a message waits for its gateway. Returns None if the message does not wait.

    `health` is None if the server does not have the gateway. If `whole` is true, the step also contains a description
    of the gateway's fault.
    """
    message = trace.message
    due_at = message.due_at
    if message.direction == "inbound" or due_at is None or trace.lease_owner is not None:
        return None
    if health is None:
        text = f"Waiting for the gateway {message.gateway}, which this server does not have"
        return Step(due_at, text, "waiting") if message.gateway is not None else None
    if due_at > now:
        return None
    trouble = health.find_trouble(connection)
    if trouble is None:
        limit = health.find_full_limit(connection, message)
        return Step(due_at, f"Waiting, because {limit}", "waiting") if limit else None
    parts = [Part(due_at, f"Reason: {trouble.fault}")] if whole and trouble.fault else []
    if trouble.condition == "held":
        text = f"Waiting, because an operator has paused the gateway {trouble.name}"
    elif trouble.until is not None:
        text = f"Waiting, because the gateway {trouble.name} is paused"
        parts.append(Part(trouble.until, "End of the pause"))
    else:
        text = (
            f"Waiting, because the gateway {trouble.name} has failed. Phonify uses the next message to test the gateway"
        )
    return Step(due_at, text, "waiting", tuple(parts))


def _find_former_wait(
    message: Message, attempts: list[MessageAttempt], state: GatewayState, now: str, *, whole: bool
) -> Step | None:
    """Return a step about the gateway's latest fault, if this fault happened while the message was waiting.

    Otherwise, return None.
    """
    doubts = [one.at for one in attempts if one.outcome == "unconfirmed"]
    end = min(filter(None, [message.finished_at, *doubts, now]))
    begin = max(message.created_at, message.send_at or "")
    if message.direction == "inbound" or state.fault_at is None or not begin <= state.fault_at < end:
        return None
    parts = (Part(state.fault_at, f"Reason: {state.fault}"),) if whole else ()
    text = f"The gateway {state.name} had a fault, and messages for this gateway had to wait"
    return Step(state.fault_at, text, "done", parts)


def _describe_receipt(receipt: ReceiptRow) -> Step:
    texts = [f"Gateway {receipt.gateway}"]
    if receipt.reference is not None:
        texts.append(f"Provider's id {receipt.reference}")
    if receipt.code:
        texts.append(f"Provider's code {receipt.code}")
    if receipt.error_type is not None:
        texts.append(Fault(receipt.error_type).title)
    if receipt.at != receipt.received_at:
        texts.append(f"Provider's time {receipt.at}")
    kind = "Receipt for one segment" if receipt.partial else "Receipt"
    state: State = "failed" if receipt.status == "undelivered" else "done"
    parts = tuple(Part(receipt.received_at, text) for text in texts)
    return Step(receipt.received_at, f"{kind}: {receipt.status}", state, parts)


def _describe_delivery(delivery: Delivery) -> Step:
    parts = tuple(Part(one.at, f"attempt {one.attempt}: {one.result} in {one.took_ms} ms") for one in delivery.tries)
    text = f"Webhook {delivery.event}: {delivery.state}"
    return Step(delivery.created_at, text, _DELIVERY_STATES[delivery.state], parts)
