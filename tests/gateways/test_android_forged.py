"""Tests of callbacks of the gateway `android` that are forged, unreadable or none of its business."""

import hmac
import json
import random
from datetime import timedelta
from typing import Any

import pytest

from phonify.gateways.events import CallbackRequest, Forged, Heard, Receipt, Received, Unreadable
from tests.support.android_callbacks import (
    MESSAGE,
    NOW,
    OTHER_DEVICE,
    REASONS,
    SIGNING_KEY,
    TEXT,
    hear,
    make_callback,
    make_gateway,
    make_hook,
    sign,
)

# Signatures


def test_a_signature_is_the_one_that_openssl_makes() -> None:
    # printf '%s%s' "$body" 1769851800 | openssl dgst -sha256 -hmac 'signing key'
    body = b'{"id":"ev1","event":"system:ping","deviceId":"dev1","webhookId":"w","payload":{}}'
    headers = {
        "X-Signature": "24ef231078fa825ad73e5a747156c0f0f5d073bc32c2926ae48625ffbd481b8f",
        "X-Timestamp": "1769851800",
    }
    request = make_hook(body, NOW)
    assert sign(body, NOW) == {**headers, "Content-Type": "application/json; charset=UTF-8"}
    assert make_gateway().hear(request._replace(headers=headers)) == Heard([])


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_the_clock_of_the_phone_may_differ_by_five_minutes(seconds: int) -> None:
    request = make_hook(make_callback("system:ping", {}), NOW)
    make_gateway().hear(request._replace(at=NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_an_old_callback_can_not_be_replayed(seconds: int) -> None:
    request = make_hook(make_callback("sms:received", TEXT), NOW)
    with pytest.raises(Forged, match="5 minutes"):
        make_gateway().hear(request._replace(at=NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Signature": "", "X-Timestamp": ""},
        {"X-Signature": "é" * 64, "X-Timestamp": "1769851800"},
        {"X-Signature": "\udc80", "X-Timestamp": "\udc80"},
        {"X-Signature": "0" * 64, "X-Timestamp": "1769851800"},
        sign(b"other", NOW),
        sign(b"{}", NOW, "another key"),
        {**sign(b"{}", NOW), "X-Timestamp": "1769851801"},
    ],
)
def test_a_callback_without_a_valid_signature_is_forged(headers: dict[str, str]) -> None:
    with pytest.raises(Forged):
        make_gateway().hear(make_hook({}, NOW)._replace(body=b"{}", headers=headers))


@pytest.mark.parametrize("timestamp", ["", "now", "1769851800.0", "\u0662", "9" * 400])
def test_a_signed_time_that_is_no_number_is_forged(timestamp: str) -> None:
    signature = hmac.new(SIGNING_KEY.encode(), b"{}" + timestamp.encode(), "sha256").hexdigest()
    headers = {"X-Signature": signature, "X-Timestamp": timestamp}
    with pytest.raises(Forged, match="time"):
        make_gateway().hear(make_hook(b"{}", NOW)._replace(headers=headers))


def test_without_a_signing_key_no_callback_is_believed() -> None:
    with pytest.raises(Forged, match="PHONIFY_ANDROID_SIGNING_KEY is missing"):
        make_gateway(signing_key="").hear(make_hook(make_callback("system:ping", {}), NOW, key=""))


def test_the_url_is_no_part_of_the_signature_so_a_proxy_may_change_it() -> None:
    request = make_hook(make_callback("system:ping", {}), NOW)
    make_gateway().hear(request._replace(url="http://10.0.0.1:8000/other?x=1", path="other"))


# Others


@pytest.mark.parametrize("event", ["system:ping", "mms:received", "sms:data-received", "sms:new"])
def test_other_events_are_answered_and_change_nothing(event: str) -> None:
    assert make_gateway().hear(make_hook(make_callback(event, None), NOW)) == Heard([])


def test_a_callback_of_another_device_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    assert hear(make_callback("sms:received", TEXT, deviceId=OTHER_DEVICE)) == []
    assert "PHONIFY_ANDROID_DEVICE" in caplog.text
    assert TEXT["sender"] not in caplog.text
    assert len(hear(make_callback("sms:received", TEXT, deviceId=OTHER_DEVICE), device="")) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b"1" * 10_000,
        [],
        None,
        {},
        make_callback("sms:received", None),
        make_callback("sms:received", {}),
        make_callback("sms:received", {**TEXT, "sender": "", "phoneNumber": " "}),
        make_callback("sms:received", {**TEXT, "message": ["Hej"]}),
        make_callback("sms:sent", {"messageId": 7}),
        make_callback("sms:sent", {"messageId": MESSAGE}, id=None),
        make_callback("sms:sent", {"messageId": MESSAGE}, deviceId=None),
    ],
)
def test_a_content_that_is_not_valid_is_unreadable(content: object) -> None:
    with pytest.raises(Unreadable):
        hear(content)


def test_random_callbacks_are_read_or_refused_and_nothing_else() -> None:
    chance = random.Random(1)
    gateway, outcomes = make_gateway(sim=1), set()
    for _ in range(2_000):
        request = make_random(chance)
        try:
            heard = gateway.hear(request)
        except (Forged, Unreadable) as error:
            outcomes.add(type(error))
            continue
        outcomes.update(type(event) for event in heard.events)
        for event in heard.events:
            repr(event).encode()
    assert outcomes == {Forged, Unreadable, Receipt, Received}


def make_random(chance: random.Random) -> CallbackRequest:
    event = chance.choice(["sms:received", "sms:sent", "sms:delivered", "sms:failed", "system:ping"])
    payload: dict[str, Any] = {**TEXT, "messageId": MESSAGE, "reason": chance.choice([*REASONS, None])}
    callback = make_callback(event, payload)
    strange = [
        None,
        7,
        -1.5,
        "",
        [],
        {},
        True,
        "x" * 5_000,
        "\0",
        "\ud800",
        "+46",
        "9" * 30,
        "2026-99-99T00:00:00Z",
        1e999,
    ]
    for _ in range(chance.choice([0, 0, 1, 2, 5])):
        chosen = chance.choice([callback, payload])
        chosen[chance.choice([*chosen, "simNumber", "recipient", "sentAt"])] = chance.choice(strange)
    body = bytearray(json.dumps(callback).encode())
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        body[chance.randrange(len(body))] = chance.randrange(256)
    request = make_hook(bytes(body), NOW)
    if chance.random() < 0.1:
        headers = {name: value[: chance.randrange(len(value))] for name, value in request.headers.items()}
        return request._replace(headers=headers)
    return request
