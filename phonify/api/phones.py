"""The resource /v1/phones: facts about a number, and the list of an account's phones."""

from typing import Any

from flask import Blueprint

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import examples
from ..schemas.answers import PhoneAnswer, PhonesAnswer
from ..schemas.description import describe
from ..schemas.objects import dump_phone
from ..schemas.requests import PagingSchema, load, read_msisdn

bp = Blueprint("phones", __name__, url_prefix="/phones")

_PAGING = PagingSchema()


@bp.get("")
@describe(arguments=PagingSchema, answers={200: PhonesAnswer}, examples=examples.PHONES)
def list_phones() -> dict[str, Any]:
    """List the phones with which the account has exchanged messages. The latest conversation comes first."""
    paging = load(_PAGING, read_arguments())
    found = get_services().subscriptions.find_phones(current_account(), **paging)
    return {"phones": [dump_phone(phone) for phone in found]}


@bp.get("/<msisdn>")
@describe(answers={200: PhoneAnswer}, examples=examples.PHONE)
def get_phone(msisdn: str) -> dict[str, Any]:
    """Retrieve the country, the carrier and the type of a number."""
    phone = read_msisdn(msisdn)
    return {"phone": dump_phone(get_services().subscriptions.get(current_account(), phone))}
