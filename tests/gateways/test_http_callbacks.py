"""Tests of callbacks to the gateway `http`: delivery receipts and received texts."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

import pytest

from phonify.gateways.events import (
    CallbackAnswer,
    CallbackRequest,
    Forged,
    GatewayEvent,
    Heard,
    Part,
    Receipt,
    Received,
    Unreadable,
)
from phonify.gateways.http import TemplateGateway
from tests.gateways.contract import make_message
from tests.support.http_providers import CALLBACK_SECRET, PUBLIC_URL, TAKEN, make_variables

ID = make_message(TAKEN).id
URL = "http://127.0.0.1:9/send"
CUSTOM = {
    "QUERY": "to={to}&text={text}",
    "TAKEN": "200",
    "RECEIPT": "status=data.state reference=data.id code=data.error at=data.at",
    "STATUS": "delivered=ok undelivered=bad unreachable_handset=off sent=on_*",
    "INBOUND": (
        "from=from to=to text=text text_hex=hex charset=charset event=id at=at"
        " part_reference=ref part_number=part part_total=parts"
    ),
    "ANSWER": "OK",
}


def hear(
    path: str,
    query: str = "",
    body: bytes = b"",
    content_type: str = "",
    *,
    gateway: TemplateGateway | None = None,
    at: datetime | None = None,
) -> Heard:
    """Return what the gateway hears in a request."""
    gateway = gateway or TemplateGateway.from_environ(make_variables(URL, PRESET="kannel"))
    url = f"{PUBLIC_URL}/gateways/http/{path}" + (f"?{query}" if query else "")
    headers = {"Content-Type": content_type} if content_type else {}
    method = "POST" if body else "GET"
    return gateway.hear(CallbackRequest(method, path, url, parse_qsl(query), headers, body, at or datetime.now(UTC)))


def hear_events(path: str, query: str = "", **variables: str) -> Sequence[GatewayEvent]:
    gateway = TemplateGateway.from_environ(make_variables(URL, **(variables or CUSTOM)))
    return hear(f"{CALLBACK_SECRET}/{path}", query, gateway=gateway).events


# The secret


@pytest.mark.parametrize(
    "path", ["", "inbound", f"x/receipt/{ID}", f"{CALLBACK_SECRET}x/inbound", "/inbound", "é/inbound"]
)
def test_a_request_without_the_secret_is_forged(path: str) -> None:
    with pytest.raises(Forged):
        hear(path, "from=%2B1456&text=a&type=1")


def test_without_a_secret_every_request_is_forged() -> None:
    environ = make_variables(URL, PRESET="kannel", CALLBACK_SECRET="")
    del environ["PHONIFY_PUBLIC_URL"]
    for path in "/inbound", "inbound", f"/receipt/{ID}":
        with pytest.raises(Forged):
            hear(path, "from=%2B1456&text=a", gateway=TemplateGateway.from_environ(environ))


# Receipts


@pytest.mark.parametrize(
    ("type_", "status"),
    [("1", "delivered"), ("2", "undelivered"), ("16", "undelivered"), ("4", "sent"), ("8", "sent"), ("32", "sent")],
)
def test_each_type_of_a_receipt_of_kannel_has_its_status(type_: str, status: str) -> None:
    heard = hear(f"{CALLBACK_SECRET}/receipt/{ID}", f"type={type_}&answer=ACK%2F&reference=52b3&at=1795967179")
    at = datetime(2026, 11, 29, 15, 46, 19, tzinfo=UTC)
    assert heard.answer == CallbackAnswer(200, "")
    assert heard.events == [
        Receipt(status, ID, "52b3", code="ACK/", at=at, event_id=f"{ID}//{type_}")  # type: ignore[arg-type]
    ]


def test_a_receipt_of_a_segment_is_partial_and_has_its_own_event() -> None:
    (first,) = hear_events(f"receipt/{ID}/1/3", "type=1", PRESET="kannel")
    (second,) = hear_events(f"receipt/{ID}/2/3", "type=1", PRESET="kannel")
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert (first.partial, second.partial, first.event_id == second.event_id) == (True, True, False)


def test_only_the_last_segment_shows_that_the_provider_has_the_whole_text() -> None:
    found = [hear_events(f"receipt/{ID}/{part}/3", "type=8", PRESET="kannel") for part in (1, 2, 3)]
    assert [len(events) for events in found] == [0, 0, 1]


def test_a_status_that_means_nothing_is_acknowledged() -> None:
    heard = hear(f"{CALLBACK_SECRET}/receipt/{ID}", "type=64")
    assert (heard.events, heard.answer.status) == ([], 200)


def test_the_code_of_a_receipt_never_has_the_text_that_was_sent() -> None:
    answer = "id:12 sub:001 dlvrd:000 submit date:2611291530 done date:2611291531 stat:UNDELIV err:00B text:Your code"
    (receipt,) = hear_events(f"receipt/{ID}", f"type=2&answer={quote(answer)}", PRESET="kannel")
    assert isinstance(receipt, Receipt)
    assert receipt.code == "UNDELIV 00B"


@pytest.mark.parametrize(
    ("status", "expected", "error_type"),
    [
        ("ESME_ROK", "sent", None),
        ("DELIVRD", "delivered", None),
        ("UNDELIV", "undelivered", None),
        ("ESME_RINVDSTADR", "undelivered", None),
        ("EXPIRED", "undelivered", "unreachable_handset"),
    ],
)
def test_each_status_of_jasmin_is_read_from_a_form_and_acknowledged_as_jasmin_wants(
    status: str, expected: str, error_type: str | None
) -> None:
    gateway = TemplateGateway.from_environ(make_variables(URL, PRESET="jasmin"))
    body = f"id=0703&message_status={status}&level=3&connector=c&id_smsc=2567&sub=001&dlvrd=001&err=000&text=Hello"
    heard = hear(
        f"{CALLBACK_SECRET}/receipt/{ID}",
        body=body.encode(),
        content_type="application/x-www-form-urlencoded",
        gateway=gateway,
    )
    assert (heard.answer.status, heard.answer.body) == (200, "ACK/Jasmin")
    event_id = f"{ID}//{status}"
    assert heard.events == [
        Receipt(expected, ID, "0703", error_type=error_type, code=status, event_id=event_id)  # type: ignore[arg-type]
    ]


def test_a_receipt_may_be_json_and_name_the_message_by_the_reference() -> None:
    body = b'{"data": {"state": "off", "id": 17, "error": "E4", "at": "2026-11-29T15:46:19Z"}, "more": [null, true]}'
    gateway = TemplateGateway.from_environ(make_variables(URL, **CUSTOM))
    heard = hear(f"{CALLBACK_SECRET}/receipt", body=body, content_type="application/json", gateway=gateway)
    assert heard.answer.body == "OK"
    at = datetime(2026, 11, 29, 15, 46, 19, tzinfo=UTC)
    assert heard.events == [
        Receipt("undelivered", None, "17", "unreachable_handset", code="E4", at=at, event_id="17//off")
    ]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("receipt", "type=1"),
        ("receipt/1", "type=1"),
        (f"receipt/{ID}/0/3", "type=1"),
        (f"receipt/{ID}/1", "type=1"),
        ("other", "type=1"),
        ("", "type=1"),
        ("inbound", "text=a"),
        ("inbound", "&".join("from=1" for _ in range(300))),
    ],
)
def test_what_is_not_a_callback_can_not_be_read(path: str, query: str) -> None:
    with pytest.raises(Unreadable):
        hear_events(path, query, PRESET="kannel")


# Received texts


def read_text(query: str, **variables: str) -> Received:
    (received,) = hear_events("inbound", query, **variables)
    assert isinstance(received, Received)
    return received


def test_a_text_from_kannel() -> None:
    query = "from=%2B46700000001&to=12345&text=a%2Bb%26c+100%25+%E2%82%AC&charset=UTF-8&id=f75d-26&at=1795967265"
    at = datetime(2026, 11, 29, 15, 47, 45, tzinfo=UTC)
    expected = Received("+46700000001", "a+b&c 100% €", "f75d-26", "12345", at)
    assert read_text(query, PRESET="kannel") == expected


@pytest.mark.parametrize(
    ("text", "charset", "body"),
    [
        ("%D8%3D%DE%00%04%16", "UTF-16BE", "😀Ж"),
        ("%FE%FF%04%16", "UTF-16BE", "Ж"),
        ("%16%04", "UTF-16LE", "Ж"),
        ("%FF%FE%16%04", "UTF-16LE", "Ж"),
        ("%FF%FE%16%04", "UTF-16", "Ж"),
        ("%FE%FF%04%16", "UTF-16", "Ж"),
        ("%04%16%04", "utf-16be", "Ж�"),
        ("%E5%80", "WINDOWS-1252", "å€"),
        ("%E5", "ISO-8859-1", "å"),
        ("%FF", "UTF-8", "�"),
        ("Hello", "", "Hello"),
    ],
)
def test_a_text_may_have_each_charset_of_kannel(text: str, charset: str, body: str) -> None:
    assert read_text(f"from=12345&text={text}&charset={charset}&id=1", PRESET="kannel").body == body


@pytest.mark.parametrize("charset", ["rot13", "2", "binary", "iso-8859-99", "idna"])
def test_a_binary_message_is_acknowledged_and_logged(charset: str, caplog: pytest.LogCaptureFixture) -> None:
    heard = hear(f"{CALLBACK_SECRET}/inbound", f"from=%2B46700000001&text=%00%01&charset={charset}")
    assert (heard.events, heard.answer.status) == ([], 200)
    assert "a message from +467******01 is ignored" in caplog.text


@pytest.mark.parametrize(
    ("binary", "coding", "body"),
    [
        ("0416d83dde00", "8", "Ж😀"),
        ("001b65", "0", "@€"),
        ("e5", "3", "å"),
        ("41", "1", "A"),
        ("", "0", ""),
    ],
)
def test_a_text_from_jasmin_is_read_by_its_data_coding(binary: str, coding: str, body: str) -> None:
    query = f"id=16fd&from=20203050&to=%2B21620203060&origin-connector=c&priority=1&coding={coding}&content=x"
    received = read_text(f"{query}&binary={binary}", PRESET="jasmin")
    assert received == Received("20203050", body, "16fd", "+21620203060")


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("46700000001", "+46700000001"),
        ("0046700000001", "+46700000001"),
        ("%2B46700000001", "+46700000001"),
        ("0700000001", "0700000001"),
        ("12345", "12345"),
        ("My+Shop", "My Shop"),
    ],
)
def test_an_international_number_gets_its_plus_sign(given: str, number: str) -> None:
    assert read_text(f"from={given}&text=a").sender == number


def test_a_part_of_a_text_says_its_place() -> None:
    assert read_text("from=1&text=a&ref=7&part=2&parts=3").part == Part("7", 3, 2)
    assert read_text("from=1&text=a&ref=7&part=x&parts=3").part is None
    assert read_text("from=1&text=a&ref=7&part=1&parts=1").part is None


def test_without_an_id_the_content_is_the_id() -> None:
    first, same = read_text("from=1&text=a&at=1"), read_text("from=1&text=a&at=1&other=2")
    assert first.event_id == same.event_id
    part = "from=1&text=a&at=1&ref=1&part=1&parts=2"
    others = [read_text(query) for query in ("from=2&text=a&at=1", "from=1&text=b&at=1", "from=1&text=a&at=2", part)]
    assert len({first.event_id, *(other.event_id for other in others)}) == 5


def test_without_an_id_and_a_time_the_same_text_is_another_one_after_a_minute() -> None:
    gateway = TemplateGateway.from_environ(make_variables(URL, **CUSTOM))

    def hear_at(at: datetime, query: str = "from=1&text=STOP") -> str:
        (event,) = hear(f"{CALLBACK_SECRET}/inbound", query, gateway=gateway, at=at).events
        assert isinstance(event, Received)
        return event.event_id

    at = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert hear_at(at) == hear_at(at.replace(second=59))
    assert hear_at(at) != hear_at(at.replace(hour=10))
    timed = "from=1&text=STOP&at=1"
    assert hear_at(at, timed) == hear_at(at.replace(hour=10), timed)


# Anything


def test_2000_random_callbacks_are_forged_or_unreadable_or_read() -> None:
    chance = random.Random(16)
    gateways = [TemplateGateway.from_environ(make_variables(URL, **one)) for one in (CUSTOM, {"PRESET": "jasmin"})]
    words = [
        *("from", "to", "text", "hex", "charset", "id", "at", "ref", "part", "parts", "data.state", "message_status"),
        *("receipt", "inbound", ID, CALLBACK_SECRET, "ok", "8", "utf-16", "idna", "unicode_escape", "9" * 13, "+", ""),
        *("%00", "%ff", "%", "=", "&", "/", "?", "[", "{", '"', "\ud800", "\N{GRINNING FACE}", "\n", "1", "-1", "e99"),
    ]
    for number in range(2_000):
        path = "".join(chance.choices(words, k=chance.randrange(6)))
        if number % 4:
            path = f"{CALLBACK_SECRET}/" + chance.choice(["inbound", f"receipt/{ID}", f"receipt/{ID}/2/3", path])
        query = "".join(chance.choices([*words, "&", "="], k=chance.randrange(30)))
        body = "".join(chance.choices([*words, ":", ","], k=chance.randrange(30))).encode(errors="surrogatepass")
        content_type = chance.choice(["", "application/json", "application/x-www-form-urlencoded", "text/xml;a=b"])
        try:
            heard = hear(path, query, body, content_type, gateway=chance.choice(gateways))
        except (Forged, Unreadable):
            continue
        assert all(isinstance(event, Receipt | Received) for event in heard.events)
