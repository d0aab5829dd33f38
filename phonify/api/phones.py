"""The resource /v1/phones: what is known of a number, and whom an account has exchanged messages with."""

from typing import Any

from flask import Blueprint

from ..numbers import parse_originator
from ..runtime import get_runtime
from ..showing import dump_phone
from . import examples
from .answers import PhoneAnswer, PhonesAnswer
from .arguments import read_arguments
from .auth import current_account
from .description import describe
from .schemas import PagingSchema, load, read_msisdn

bp = Blueprint("phones", __name__, url_prefix="/phones")

_PAGING = PagingSchema()


@bp.get("")
@describe(arguments=PagingSchema, answers={200: PhonesAnswer}, examples=examples.PHONES)
def list_phones() -> dict[str, Any]:
    """List the phones the account has exchanged messages with, by their latest message, the latest first."""
    paging = load(_PAGING, read_arguments())
    found = get_runtime().subscriptions.find_phones(current_account(), **paging)
    return {"phones": [dump_phone(parse_originator(phone.phone), subscribed=phone.subscribed) for phone in found]}


@bp.get("/<msisdn>")
@describe(answers={200: PhoneAnswer}, examples=examples.PHONE)
def get_phone(msisdn: str) -> dict[str, Any]:
    """Retrieve what is known of a number, whoever's it is."""
    number = read_msisdn(msisdn)
    subscription = get_runtime().subscriptions.get(current_account(), number.number)
    return {"phone": dump_phone(number, subscribed=subscription.subscribed)}
