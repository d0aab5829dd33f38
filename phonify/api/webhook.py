"""The resource /v1/webhook: the URL for the account's events, the signing secret, and a test event."""

from typing import Any

from flask import Blueprint

from ..errors import NotFound
from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import examples
from ..schemas.answers import DeliveryAnswer, WebhookAnswer
from ..schemas.description import describe
from ..schemas.objects import dump_webhook
from ..schemas.requests import SetWebhookSchema, load

bp = Blueprint("webhook", __name__, url_prefix="/webhook")

_SET = SetWebhookSchema()


@bp.get("")
@describe(
    answers={200: WebhookAnswer},
    errors=("not_found",),
    examples=examples.GET_WEBHOOK,
    text="If the account has no webhook, the answer is 404.",
)
def get_webhook() -> dict[str, Any]:
    """Retrieve the account's webhook and its secret."""
    webhook = get_services().webhooks.get(current_account())
    if webhook is None:
        raise NotFound
    return {"webhook": dump_webhook(webhook)}


@bp.put("")
@describe(
    arguments=SetWebhookSchema,
    answers={200: WebhookAnswer},
    examples=examples.SET_WEBHOOK,
    text=(
        "The answer is 200, even if the account had no webhook before. An existing secret does not change. If the"
        " webhook was disabled, this request enables the webhook."
    ),
)
def set_webhook() -> dict[str, Any]:
    """Set the URL of the account's webhook."""
    webhook = get_services().webhooks.set_url(current_account(), **load(_SET, read_arguments()))
    return {"webhook": dump_webhook(webhook)}


@bp.route("", methods=["DELETE", "DESTROY"])
@describe(
    answers={200: WebhookAnswer},
    errors=("not_found",),
    examples=examples.REMOVE_WEBHOOK,
    text=(
        "The answer shows the removed webhook. Phonify cancels the events that it has not delivered yet. If the account"
        " has no webhook, the answer is 404. The method `DESTROY` does the same."
    ),
)
def remove_webhook() -> dict[str, Any]:
    """Remove the account's webhook."""
    webhook = get_services().webhooks.remove(current_account())
    if webhook is None:
        raise NotFound
    return {"webhook": dump_webhook(webhook)}


@bp.post("/test")
@describe(
    answers={202: DeliveryAnswer},
    errors=("no_webhook",),
    examples=examples.TEST_WEBHOOK,
    text=(
        "Phonify stores the event on disk, and then answers 202. Phonify can post the event before or after this"
        " answer. Phonify posts a test event even to a disabled webhook. The header `webhook-id` of the event contains"
        " the id from the answer."
    ),
)
def send_test_event() -> tuple[dict[str, Any], int]:
    """Post the event `webhook.test` to the account's webhook."""
    return {"delivery": {"id": get_services().webhooks.send_test(current_account())}}, 202
