"""Tests of what Twilio posts to the gateway. Twilio's own package signs it."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from phonify.gateways.events import CallbackAnswer, CallbackRequest, Forged, Heard, Receipt, Received, Unreadable
from phonify.gateways.twilio_codes import ERROR_TYPES
from tests.support.twilio_service import (
    MESSAGE_ID,
    MESSAGE_SID,
    OWN,
    PHONE,
    PUBLIC_URL,
    STATUS_PATH,
    TOKEN,
    make_gateway,
    make_hook,
    make_json,
    report,
    sign_url,
    write_text,
)

NO_REPLY = CallbackAnswer(200, "<Response/>", "text/xml; charset=utf-8")


def hear(request: CallbackRequest, **given: str) -> Heard:
    return make_gateway(**given).hear(request)


# Statuses


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("accepted", "sent"),
        ("scheduled", "sent"),
        ("queued", "sent"),
        ("sending", "sent"),
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("read", "delivered"),
    ],
)
def test_a_status_is_a_receipt_of_the_message_in_the_path(word: str, status: Any) -> None:
    receipt = Receipt(status, MESSAGE_ID, MESSAGE_SID, code=word, event_id=f"{MESSAGE_SID}:{word}")
    assert hear(make_hook(STATUS_PATH, report(word))) == Heard([receipt], CallbackAnswer(204))


@pytest.mark.parametrize("word", ["undelivered", "failed"])
@pytest.mark.parametrize(("code", "error_type"), ERROR_TYPES.items())
def test_a_failure_has_the_error_type_of_its_code(word: str, code: int, error_type: str) -> None:
    heard = hear(make_hook(STATUS_PATH, report(word, ErrorCode=str(code), ErrorMessage="It failed")))
    event_id = f"{MESSAGE_SID}:{word}"
    assert heard.events == [Receipt("undelivered", MESSAGE_ID, MESSAGE_SID, error_type, str(code), event_id=event_id)]


@pytest.mark.parametrize(("code", "shown"), [("30008", "30008"), ("63016", "63016"), ("", "failed"), ("?", "failed")])
def test_a_failure_with_another_code_has_an_unknown_reason(code: str, shown: str) -> None:
    (receipt,) = hear(make_hook(STATUS_PATH, report("failed", ErrorCode=code))).events
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.error_type, receipt.code) == ("undelivered", "delivery_failed", shown)


def test_a_message_that_was_canceled_at_twilio_is_canceled() -> None:
    (receipt,) = hear(make_hook(STATUS_PATH, report("canceled"))).events
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.error_type, receipt.code) == ("undelivered", "canceled", "canceled")


def test_a_repeated_status_has_the_same_event_id_and_each_status_has_its_own() -> None:
    words = ["sent", "delivered", "sent", "delivered"]
    ids = [hear(make_hook(STATUS_PATH, report(word))).events[0].event_id for word in words]
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]


def test_an_unknown_status_is_no_event_and_gets_a_success() -> None:
    assert hear(make_hook(STATUS_PATH, report("teleported"))) == Heard([], CallbackAnswer(204))


@pytest.mark.parametrize("name", ["MessageSid", "MessageStatus"])
def test_a_status_without_its_fields_can_not_be_read(name: str) -> None:
    with pytest.raises(Unreadable, match=f"{name} is missing"):
        hear(make_hook(STATUS_PATH, {**report("sent"), name: ""}))


# Received texts


def test_a_text_from_a_phone_is_received_and_not_answered() -> None:
    text = Received(PHONE, "å & 🎉\n+%", MESSAGE_SID, OWN)
    assert hear(make_hook("received", write_text("å & 🎉\n+%"))) == Heard([text], NO_REPLY)


def test_a_text_that_opts_out_is_received_like_others() -> None:
    heard = hear(make_hook("received", write_text("STOP", OptOutType="STOP", MessagingServiceSid=f"MG{'c' * 32}")))
    assert heard.events == [Received(PHONE, "STOP", MESSAGE_SID, OWN)]


def test_a_picture_without_a_text_is_an_empty_text() -> None:
    heard = hear(make_hook("received", write_text("", NumMedia="1", MediaUrl0="https://api.twilio.com/media")))
    assert heard.events == [Received(PHONE, "", MESSAGE_SID, OWN)]


def test_a_text_without_a_recipient_is_for_the_number_of_the_gateway() -> None:
    request = make_hook("received", {**write_text(), "To": ""})
    assert hear(request, NUMBER=OWN).events == [Received(PHONE, "Hello", MESSAGE_SID, None)]
    assert make_gateway(NUMBER=OWN).number == OWN


@pytest.mark.parametrize("name", ["MessageSid", "From"])
def test_a_text_without_its_fields_can_not_be_read(name: str) -> None:
    form = write_text()
    del form[name]
    with pytest.raises(Unreadable, match=f"{name} is missing"):
        hear(make_hook("received", form))


@pytest.mark.parametrize(
    "path", ["", "status", "status/", "status/7", f"{STATUS_PATH}/x", f"status/{'g' * 36}", "else"]
)
def test_another_path_can_not_be_read(path: str) -> None:
    with pytest.raises(Unreadable, match="nothing at this address"):
        hear(make_hook(path, report("sent")))


# Forms of a request


@pytest.mark.parametrize(("path", "form"), [(STATUS_PATH, report("sent")), ("received", write_text("a & b"))])
def test_get_has_its_parameters_in_the_signed_query(path: str, form: dict[str, str]) -> None:
    url = f"{PUBLIC_URL}/gateways/twilio/{path}?{urlencode(form)}"
    headers = {"x-twilio-signature": RequestValidator(TOKEN).compute_signature(url, {})}
    request = make_hook(path, {}, method="GET", url=url, query=tuple(form.items()), headers=headers, body=b"")
    assert hear(request) == hear(make_hook(path, form))


def test_json_is_signed_by_its_hash() -> None:
    assert hear(make_json({**report("sent"), "Unknown": 7})) == hear(make_hook(STATUS_PATH, report("sent")))


def test_json_with_another_hash_is_forged() -> None:
    with pytest.raises(Forged):
        hear(make_json(report("sent"), body=json.dumps(report("delivered")).encode()))


@pytest.mark.parametrize("content", [[], "sent", None, 7])
def test_json_that_is_no_object_can_not_be_read(content: object) -> None:
    with pytest.raises(Unreadable, match="not a JSON object"):
        hear(make_json(content))


def test_parameters_in_the_query_and_in_the_form_are_read() -> None:
    form = report("delivered")
    sid = form.pop("MessageSid")
    url = f"{PUBLIC_URL}/gateways/twilio/{STATUS_PATH}?MessageSid={sid}"
    request = make_hook(STATUS_PATH, form, url=url, query=(("MessageSid", sid),), headers=sign_url(url, form))
    assert hear(request) == hear(make_hook(STATUS_PATH, report("delivered")))
