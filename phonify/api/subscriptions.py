"""The resource /v1/subscriptions shows whether phones have opted out. A client can also unsubscribe a phone."""

from typing import Any

from flask import Blueprint

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import examples
from ..schemas.answers import ResultAnswer, SubscriptionAnswer, SubscriptionsAnswer
from ..schemas.description import describe
from ..schemas.objects import dump_subscription
from ..schemas.requests import PagingSchema, load, read_msisdn

bp = Blueprint("subscriptions", __name__, url_prefix="/subscriptions")

_PAGING = PagingSchema()


@bp.get("")
@describe(
    arguments=PagingSchema,
    answers={200: SubscriptionsAnswer},
    examples=examples.SUBSCRIPTIONS,
    text=(
        "The list has two parts. The first part contains the phones that have exchanged messages with the account."
        " The second part contains phones that are not in the first part. Each of these phones has opted out or"
        " opted in at least once."
    ),
)
def list_subscriptions() -> dict[str, Any]:
    """List phones, and show which phones have opted out."""
    paging = load(_PAGING, read_arguments())
    found = get_services().subscriptions.find_all(current_account(), **paging)
    return {"subscriptions": [dump_subscription(subscription) for subscription in found]}


@bp.get("/<msisdn>")
@describe(answers={200: SubscriptionAnswer}, examples=examples.SUBSCRIPTION)
def get_subscription(msisdn: str) -> dict[str, Any]:
    """Retrieve the subscription of a phone. The answer shows whether the account may send messages to this phone."""
    phone = read_msisdn(msisdn)
    return {"subscription": dump_subscription(get_services().subscriptions.get(current_account(), phone))}


@bp.post("/<msisdn>/unsubscribe")
@describe(
    answers={200: ResultAnswer},
    examples=examples.UNSUBSCRIBE,
    text=(
        "A STOP from the phone has the same effect. If a client then sends a message to the phone, the answer is 402."
        " Phonify stores the message in state `error`."
    ),
)
def unsubscribe(msisdn: str) -> dict[str, Any]:
    """Record that a phone has opted out. Phonify refuses messages to this phone until the phone opts in."""
    phone = read_msisdn(msisdn)
    get_services().subscriptions.change(current_account(), phone, subscribed=False, reason="api")
    return {"result": "OK"}
