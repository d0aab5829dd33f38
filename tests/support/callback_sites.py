"""Gateways whose callbacks are fuzzed: their settings, the callbacks of their providers, and ways to forge these."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import ClassVar
from urllib.parse import parse_qsl, quote, urlencode

from tests.support.android_callbacks import DEVICE, PASSWORD, SIGNING_KEY, USERNAME
from tests.support.android_callbacks import sign as sign_for_android
from tests.support.app import basic
from tests.support.callbacks import (
    OTHER_SECRETS,
    OWN,
    PHONE,
    Call,
    Forge,
    Site,
    go_to_another_gateway,
    show_api_key,
    spoil,
    without,
)
from tests.support.http_providers import CALLBACK_SECRET
from tests.support.twilio_service import PUBLIC_URL, SID, TOKEN, sign_url

FORM = "application/x-www-form-urlencoded"

# Android


def _sign_late(random: Random, call: Call, now: datetime) -> Call:
    # 301 s ahead can be 300 s at the arrival: the time is sent in whole seconds, and the request takes some time.
    seconds = random.choice([-301, -400, 400, -86_400, 86_400, -86_400 * 365, 86_400 * 365])
    return call._replace(headers=sign_for_android(call.body, now + timedelta(seconds=seconds)))


def _sign_with_another_key(random: Random, call: Call, now: datetime) -> Call:
    return call._replace(headers=sign_for_android(call.body, now, random.choice(OTHER_SECRETS)))


def _change_digits(random: Random, text: str) -> str:
    place = random.randrange(len(text))
    changed = text[:place] + random.choice(["", "0", "1", "f", "ü", "\0", " "]) + text[place + 1 :]
    return changed if changed.strip() != text else text + "0"


class Android(Site):
    name = "android"
    settings: Mapping[str, str] = {
        "ANDROID_USERNAME": USERNAME,
        "ANDROID_PASSWORD": PASSWORD,
        "ANDROID_DEVICE": DEVICE,
        "ANDROID_SIGNING_KEY": SIGNING_KEY,
        "ANDROID_NUMBER": OWN,
    }
    expires = True
    forgeries: ClassVar[Mapping[str, Forge]] = {
        "no signature": lambda _, call, now: call._replace(headers=without(call.headers, "X-Signature")),
        "a wrong signature": lambda random, call, now: call._replace(
            headers={**call.headers, "X-Signature": _change_digits(random, call.headers["X-Signature"])}
        ),
        "another time": lambda random, call, now: call._replace(
            headers={**call.headers, "X-Timestamp": _change_digits(random, call.headers["X-Timestamp"])}
        ),
        "an old or future time": _sign_late,
        "another secret": _sign_with_another_key,
        "other bytes": lambda random, call, now: call._replace(body=spoil(random, call.body)),
        "an API key": lambda random, call, now: show_api_key(
            random, call._replace(headers=without(call.headers, "X-Signature")), now
        ),
        "another gateway": go_to_another_gateway,
    }

    def answer(self, url: str, body: bytes) -> tuple[int, str]:
        return 202, json.dumps({"id": json.loads(body)["id"]})

    def write(self, event: str, payload: object, now: datetime) -> Call:
        id_ = hashlib.sha256(repr((event, payload)).encode()).hexdigest()[:21]
        content = {"id": id_, "event": event, "deviceId": DEVICE, "webhookId": "w", "payload": payload}
        return self.prove(Call("POST", "/gateways/android/callback", body=json.dumps(content).encode()), now)

    def write_receipt(self, id_: str, delivered: bool, now: datetime) -> Call:
        return self.write("sms:delivered" if delivered else "sms:sent", {"messageId": id_}, now)

    def write_text(self, text: str, now: datetime) -> Call:
        received = {"messageId": "c3", "sender": PHONE, "message": text, "receivedAt": now.isoformat()}
        return self.write("sms:received", received, now)

    def prove(self, call: Call, now: datetime) -> Call:
        return call._replace(headers=sign_for_android(call.body, now))


# HTTP


def _guess_secret(random: Random, call: Call, now: datetime) -> Call:
    """Replace the secret in the path by another text."""
    near = [CALLBACK_SECRET[:-1], f"{CALLBACK_SECRET}x", CALLBACK_SECRET.swapcase(), CALLBACK_SECRET[::-1], "..", "%"]
    noise = random.randbytes(random.randrange(1, 40)).decode("latin-1")
    secret = random.choice([*near, *OTHER_SECRETS, noise, f"x/{CALLBACK_SECRET}", f"{CALLBACK_SECRET}\0", "*"])
    return call._replace(path=call.path.replace(CALLBACK_SECRET, secret))


def _move_secret(random: Random, call: Call, now: datetime) -> Call:
    """Show the secret in another place than the path."""
    headers = {**call.headers, "X-Secret": CALLBACK_SECRET, "Authorization": basic(CALLBACK_SECRET)}
    path = call.path.replace(f"{CALLBACK_SECRET}/", random.choice(["", "x/", "secret/"]))
    return call._replace(path=path, query=f"{call.query}&secret={CALLBACK_SECRET}", headers=headers)


class Template(Site):
    name = "http"
    forgeries: ClassVar[Mapping[str, Forge]] = {
        "a guessed secret": _guess_secret,
        "the secret elsewhere": _move_secret,
        "an API key": lambda random, call, now: show_api_key(
            random, call._replace(path=call.path.replace(CALLBACK_SECRET, random.choice(OTHER_SECRETS))), now
        ),
        "another gateway": go_to_another_gateway,
    }
    preset: str
    more: ClassVar[Mapping[str, str]] = {}
    taken: ClassVar[tuple[int, str]]  # its answer; ID stands for the id of the message
    receipts: ClassVar[tuple[str, str]]  # what is sent if the provider has a message, and if it is delivered
    text: ClassVar[str]

    def __init__(self) -> None:
        self.settings = {
            "HTTP_PRESET": self.preset,
            "HTTP_USERNAME": "phonify",
            "HTTP_PASSWORD": "password",
            "HTTP_CALLBACK_SECRET": CALLBACK_SECRET,
            "HTTP_NUMBER": OWN,
            **self.more,
        }

    def answer(self, url: str, body: bytes) -> tuple[int, str]:
        found = re.search(r"receipt(?:/|%2F)([0-9a-f-]{36})", f"{url} {body.decode()}")
        assert found
        return self.taken[0], self.taken[1].replace("ID", found[1])

    def write(self, place: str, content: str, now: datetime) -> Call:
        path = f"/gateways/http/{CALLBACK_SECRET}/{place}"
        if self.preset == "kannel":
            return Call("GET", path, content)
        kind = "application/json" if content.startswith("{") else FORM
        return Call("POST", path, headers={"Content-Type": kind}, body=content.encode())

    def write_receipt(self, id_: str, delivered: bool, now: datetime) -> Call:
        return self.write(f"receipt/{id_}", self.receipts[delivered].replace("ID", id_), now)

    def write_text(self, text: str, now: datetime) -> Call:
        escaped = text.encode().hex() if self.preset == "jasmin" else quote(text)
        return self.write("inbound", self.text.replace("TEXT", escaped), now)

    def prove(self, call: Call, now: datetime) -> Call:
        return call


class Kannel(Template):
    preset = "kannel"
    taken = 202, "0: Accepted for delivery"
    receipts = "type=8&answer=&reference=r1&at=1769851800", "type=1&answer=id:1+stat:DELIVRD&at=1769851800"
    text = f"from={quote(PHONE)}&to={quote(OWN)}&text=TEXT&charset=UTF-8&id=TEXT&at=1769851800"


class Jasmin(Template):
    preset = "jasmin"
    taken = 200, 'Success "ID"'
    receipts = "id=ID&message_status=ESME_ROK&level=1", "id=ID&message_status=DELIVRD&level=2&dlvrd=001"
    text = f"id=TEXT&from={quote(PHONE)}&to={quote(OWN)}&content=&binary=TEXT&coding=3"


class Custom(Template):
    preset = "custom"
    more: ClassVar[Mapping[str, str]] = {
        "HTTP_BODY": '{"to": "{to}", "text": "{text}", "callback": "{receipt_url}"}',
        "HTTP_TAKEN": "2xx",
        "HTTP_RECEIPT": "status=data.status code=data.error reference=data.id at=data.at",
        "HTTP_STATUS": "delivered=delivered undelivered=failed* sent=sent",
        "HTTP_INBOUND": "from=data.from to=data.to text=data.text event=data.id at=data.at charset=data.charset"
        " part_reference=data.ref part_number=data.number part_total=data.total",
    }
    taken = 200, "{}"
    receipts = '{"data": {"status": "sent"}}', '{"data": {"status": "delivered", "at": "2026-01-31T09:30:00Z"}}'
    text = f'{{"data": {{"from": "{PHONE}", "to": "{OWN}", "text": "TEXT", "id": "TEXT"}}}}'


# Twilio


def _sign_with_another_token(random: Random, call: Call, now: datetime) -> Call:
    url = f"{PUBLIC_URL}{call.path}"
    token = random.choice(OTHER_SECRETS)
    return call._replace(headers=sign_url(url, dict(parse_qsl(call.body.decode(), keep_blank_values=True)), token))


def _change_form(random: Random, call: Call, now: datetime) -> Call:
    fields = parse_qsl(call.body.decode(), keep_blank_values=True)
    name, value = random.choice(fields)
    added = random.choice(
        [(name, value + "x"), ("MessageStatus", "failed"), ("ErrorCode", "30007"), ("a", ""), (name, "")]
    )
    kept = [field for field in fields if field[0] != name or random.random() < 0.5]
    changed = [*kept, added] if dict(kept).get(added[0]) != added[1] else [*kept, ("Unknown", "x")]
    return call._replace(body=urlencode(changed).encode())


def _turn_into_json(random: Random, call: Call, now: datetime) -> Call:
    """Send JSON with a hash, which is right or wrong, under the signature of a form."""
    body = json.dumps(dict(parse_qsl(call.body.decode()))).encode()
    hashed = random.choice([hashlib.sha256(body).hexdigest(), "0" * 64, ""])
    headers = {**call.headers, "Content-Type": "application/json"}
    return call._replace(body=body, query=f"bodySHA256={hashed}", headers=headers)


class Twilio(Site):
    name = "twilio"
    settings: Mapping[str, str] = {"TWILIO_GATEWAY_ACCOUNT_SID": SID, "TWILIO_GATEWAY_AUTH_TOKEN": TOKEN}
    forgeries: ClassVar[Mapping[str, Forge]] = {
        "no signature": lambda _, call, now: call._replace(headers=without(call.headers, "X-Twilio-Signature")),
        "a wrong signature": lambda random, call, now: call._replace(
            headers={**call.headers, "x-twilio-signature": _change_digits(random, call.headers["x-twilio-signature"])}
        ),
        "another secret": _sign_with_another_token,
        "other fields": _change_form,
        "other bytes": lambda random, call, now: call._replace(
            body=call.body + b"&a=" + random.randbytes(3).hex().encode()
        ),
        "JSON": _turn_into_json,
        "another query": lambda random, call, now: call._replace(query=f"MessageStatus=delivered&{random.random()}"),
        "another path": lambda random, call, now: call._replace(
            path=random.choice([f"{call.path}/", call.path + "0", "/gateways/twilio/", "/gateways/twilio/status/x"])
        ),
        "an API key": lambda random, call, now: show_api_key(
            random, call._replace(headers=without(call.headers, "X-Twilio-Signature")), now
        ),
        "another gateway": go_to_another_gateway,
    }

    @property
    def url_setting(self) -> str:
        return "TWILIO_GATEWAY_URL"

    def answer(self, url: str, body: bytes) -> tuple[int, str]:
        id_ = dict(parse_qsl(body.decode()))["StatusCallback"].partition("/status/")[2][:36]
        return 201, json.dumps({"sid": f"SM{id_.replace('-', '')}", "status": "queued"})

    def write(self, path: str, form: dict[str, str], now: datetime) -> Call:
        return self.prove(Call("POST", f"/gateways/twilio/{path}", body=urlencode(form).encode()), now)

    def write_receipt(self, id_: str, delivered: bool, now: datetime) -> Call:
        sid, status = f"SM{id_.replace('-', '')}", "delivered" if delivered else "sent"
        return self.write(f"status/{id_}", {"MessageSid": sid, "MessageStatus": status, "To": PHONE, "From": OWN}, now)

    def write_text(self, text: str, now: datetime) -> Call:
        sid = f"SM{hmac.new(b'', text.encode(), 'md5').hexdigest()}"
        return self.write("received", {"MessageSid": sid, "Body": text, "To": OWN, "From": PHONE}, now)

    def prove(self, call: Call, now: datetime) -> Call:
        url = f"{PUBLIC_URL}{call.path}" + (f"?{call.query}" if call.query else "")
        return call._replace(headers=sign_url(url, dict(parse_qsl(call.body.decode(), keep_blank_values=True))))


SITES: dict[str, Callable[[], Site]] = {
    "android": Android,
    "kannel": Kannel,
    "jasmin": Jasmin,
    "custom": Custom,
    "twilio": Twilio,
}
