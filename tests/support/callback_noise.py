"""Callbacks that no provider sends: random requests, and requests with a content that is made to hurt."""

import json
from copy import deepcopy
from random import Random
from typing import Any
from urllib.parse import parse_qsl, quote_from_bytes, urlencode

from tests.support.callbacks import Call, Site, spoil

METHODS = ("GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "DESTROY", "TRACE", "x")
TYPES = (
    *("application/x-www-form-urlencoded", "application/json", "application/json; charset=utf-16", "text/json", ""),
    *("multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "application/xml", "\xff", "x" * 500),
)
PLACES = ("", "callback", "received", "inbound", "receipt", "receipt/x/1/2", "status/", "status/x", "..", "%", "//")
HEADERS = ("X-Signature", "X-Timestamp", "X-Twilio-Signature", "Authorization", "Content-Encoding", "X-Forwarded-Host")
HURTING = (
    *(None, True, 0, -1, 10**30, 1e308, "", " ", "\0", "a\0b", "\ud800", "\U0001f600" * 70, "x" * 20_000, "9" * 30),
    *([], {}, [[[]]], {"a": {"b": 1}}, "+46", "STOP", "UTF-16", "8", "gsm7", "zz", "2026-99-99T00:00:00Z", "1e999"),
    *("9999999999999", "-1", "255", "001", "ü" * 40, "\u202e", "\r\nX: y", "<script>", "%00", "'; DROP TABLE messages"),
)
BODIES = (
    *(b"", b"\0" * 100, b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 10_000, b"NaN", b"null", b'"x"', b"[]"),
    *(b'{"data": ' * 300 + b"1" + b"}" * 300, b"a=b&" * 10_000, b"&" * 5_000, b"a" * 200_000, b"\xed\xa0\x80=1"),
    *(b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n", b"%", b"=", b'{"a": 1e999}', b"{}{}"),
)


def make_noise(random: Random, site: Site) -> Call:
    """Return a random request for a gateway. It has no proof."""
    noise = random.randbytes(random.choice([0, 5, 40, 300])).decode("latin-1")
    place = random.choice([*PLACES, noise])
    body = random.choice([*BODIES, random.randbytes(random.randrange(400))])
    headers = {name: random.choice(["", noise[:200], "0" * 64, "1769851800"]) for name in random.sample(HEADERS, 2)}
    query = random.choice(["", noise, "a=b&" * 500, urlencode({"MessageStatus": "delivered", "bodySHA256": noise})])
    path = f"/gateways/{site.name}/{place}"
    return Call(random.choice(METHODS), path, query, {**headers, "Content-Type": random.choice(TYPES)}, body)


def make_hostile(random: Random, call: Call) -> Call:
    """Return a callback with another content. It is not signed again."""
    kind = random.randrange(10)
    if kind == 0:
        return call._replace(body=random.choice([body for body in BODIES if body.isascii()]))
    if kind == 1:
        return call._replace(method=random.choice(METHODS))
    if kind == 2:
        return call._replace(query=f"{call.query}&{urlencode({'a': 'b', 'MessageStatus': 'failed'})}")
    if call.body.startswith(b"{"):
        content = json.loads(call.body)
        _hurt_object(random, content)
        body = json.dumps(content).encode()
        return call._replace(body=body if kind < 8 else spoil(random, body))
    if call.body:
        return call._replace(body=_hurt_form(random, call.body.decode()).encode())
    return call._replace(query=_hurt_form(random, call.query))


def _hurt_object(random: Random, content: dict[str, Any]) -> None:
    for _ in range(random.randint(1, 3)):
        name = random.choice(list(content))
        if isinstance(content[name], dict) and content[name] and random.random() < 0.8:
            _hurt_object(random, content[name])
        else:
            names = [name, "simNumber", "ref", "number", "total", "charset", "reason"]
            content[random.choice(names)] = deepcopy(random.choice(HURTING))


def _hurt_form(random: Random, form: str) -> str:
    fields = parse_qsl(form, keep_blank_values=True)
    for _ in range(random.randint(1, 3)):
        name = random.choice([*(name for name, _ in fields), "charset", "part", "ErrorCode", "SmsStatus"])
        hurting = str(random.choice(HURTING)).encode(errors="replace")
        fields = [field for field in fields if field[0] != name]
        fields.insert(random.randrange(len(fields) + 1), (name, hurting.decode(errors="replace")))
    noise = quote_from_bytes(random.randbytes(2))
    return urlencode(fields) + random.choice(["", "", "&", "&=", f"&a={noise}"])
