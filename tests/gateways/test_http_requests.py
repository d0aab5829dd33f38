"""Tests of the requests that the gateway `http` sends with its presets, and of long texts."""

import pytest

from phonify.gateways.base import Doubt, Later, Refused, Taken
from phonify.gateways.http import TemplateGateway
from tests.gateways.contract import make_message, send
from tests.support.http_providers import (
    CALLBACK_SECRET,
    PASSWORD,
    PUBLIC_URL,
    TAKEN,
    make_gateway,
    make_variables,
    outcome_of,
    read_form,
    read_query,
)
from tests.support.receivers import Received, Receiver, status

# Kannel


def send_to_kannel(receiver: Receiver, body: str, **changes: object) -> list[dict[str, str]]:
    receiver.act = status(202, body="0: Accepted for delivery")
    message = make_message(TAKEN, body=body)._replace(**changes)  # type: ignore[arg-type]
    outcomes = send(make_gateway(receiver, PRESET="kannel"), message)
    assert outcomes == [(message.id, Taken())]
    return [read_query(received) for received in receiver.received]


def test_a_request_to_kannel_has_all_that_kannel_needs(receiver: Receiver) -> None:
    (query,) = send_to_kannel(receiver, "Hello & 1 + 1 = 2 €", validity=3_600.0)
    assert query == {
        "username": "phonify",
        "password": PASSWORD,
        "from": "+15005550006",
        "to": TAKEN,
        "text": "Hello & 1 + 1 = 2 €",
        "charset": "UTF-8",
        "coding": "0",
        "validity": "60",
        "dlr-mask": "31",
        "dlr-url": f"{PUBLIC_URL}/gateways/http/{CALLBACK_SECRET}/receipt/{make_message(TAKEN).id}"
        "?type=%d&answer=%A&reference=%F&at=%T",
    }


@pytest.mark.parametrize("body", ["`", "ç", "ж", "😀", "“quoted”"])
def test_a_text_outside_gsm7_never_leaves_with_coding_0(receiver: Receiver, body: str) -> None:
    assert [query["coding"] for query in send_to_kannel(receiver, body)] == ["2"]


def test_validity_is_at_least_a_minute_and_never_longer_than_the_rest_of_ours(receiver: Receiver) -> None:
    assert send_to_kannel(receiver, "Hello", validity=1.0)[-1]["validity"] == "1"
    assert send_to_kannel(receiver, "Hello", validity=179.9)[-1]["validity"] == "2"


def test_no_receipts_are_asked_for_without_a_public_url(receiver: Receiver) -> None:
    receiver.act = status(202, body="0: Accepted for delivery")
    environ = make_variables(receiver.url, PRESET="kannel", CALLBACK_SECRET="")
    del environ["PHONIFY_PUBLIC_URL"]
    assert outcome_of(TemplateGateway.from_environ(environ)) == Taken()
    assert "dlr-url" not in read_query(receiver.received[0])


def test_the_url_may_have_parameters_of_its_own(receiver: Receiver) -> None:
    receiver.act = status(202, body="0: Accepted for delivery")
    gateway = TemplateGateway.from_environ(make_variables(f"{receiver.url}?smsc=carrier", PRESET="kannel"))
    assert outcome_of(gateway) == Taken()
    assert read_query(receiver.received[0])["smsc"] == "carrier"


# Long texts


def test_a_long_text_leaves_as_one_request_for_each_segment(receiver: Receiver) -> None:
    queries = send_to_kannel(receiver, "x" * 152 + "€" + "y" * 200)
    assert [query["text"] for query in queries] == ["x" * 152, "€" + "y" * 151, "y" * 49]
    assert [query["dlr-url"].partition("?")[0][-5:] for query in queries] == ["0/1/3", "0/2/3", "0/3/3"]


def test_each_segment_has_the_validity_and_asks_for_a_receipt(receiver: Receiver) -> None:
    queries = send_to_kannel(receiver, "x" * 400, validity=3_600.0)
    assert [(query["validity"], query["dlr-mask"]) for query in queries] == [("60", "31")] * 3


def test_the_segments_of_a_text_have_the_same_reference_and_the_next_text_another(receiver: Receiver) -> None:
    receiver.act = status(202, body="0: Accepted for delivery")
    gateway = make_gateway(receiver, PRESET="kannel")
    for _ in range(300):
        outcome_of(gateway, "ж" * 71)
    headers = [found.partition("&udh=")[2].partition("&")[0] for found in (one.line for one in receiver.received)]
    assert {header[:9] for header in headers} == {"%05%00%03"}
    assert [header[-6:] for header in headers[:2]] == ["%02%01", "%02%02"]
    references = [header[9:-6] for header in headers]
    assert references[0::2] == references[1::2]
    assert len(set(references)) == 256


@pytest.mark.parametrize("position", range(60, 70))
def test_no_segment_ends_inside_a_surrogate_pair(receiver: Receiver, position: int) -> None:
    body = "ж" * position + "😀" * 40
    queries = send_to_kannel(receiver, body)
    assert "".join(query["text"] for query in queries) == body
    assert all(len(query["text"].encode("utf-16-be")) <= 134 for query in queries)


def answer_in_turn(receiver: Receiver, *answers: tuple[int, str] | None) -> None:
    waiting = list(answers)

    def act(client: object, received: Received) -> None:
        answer = waiting.pop(0)
        if answer is not None:
            status(answer[0], body=answer[1])(client, received)  # type: ignore[arg-type]

    receiver.act = act


ACCEPTED, DENIED, BUSY = (202, "0: Accepted"), (400, "Missing receiver number"), (503, "Temporal failure")


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([ACCEPTED, ACCEPTED, ACCEPTED], Taken()),
        ([DENIED], Refused("invalid_number", "400")),
        ([BUSY], Later(pause=True, reason="the provider answered with status 503")),
        ([None], Doubt("the connection was closed without an answer", pause=True)),
        ([ACCEPTED, DENIED], Doubt("1 of 3 segments were taken: the provider refused the next segment")),
        ([ACCEPTED, BUSY], Doubt("1 of 3 segments were taken: the provider answered with status 503", pause=True)),
        (
            [ACCEPTED, ACCEPTED, None],
            Doubt("2 of 3 segments were taken: the connection was closed without an answer", pause=True),
        ),
    ],
)
def test_a_text_is_taken_if_all_segments_are_and_in_doubt_if_only_some_are(
    receiver: Receiver, answers: list[tuple[int, str] | None], outcome: object
) -> None:
    answer_in_turn(receiver, *answers)
    assert outcome_of(make_gateway(receiver, PRESET="kannel"), "x" * 400) == outcome
    assert len(receiver.received) == len(answers)


def test_a_text_that_is_cut_has_the_references_of_all_its_segments(receiver: Receiver) -> None:
    answer_in_turn(receiver, (200, "id=A"), (200, "id=B"))
    gateway = make_gateway(receiver, BODY="to={to}&text={text}&udh={udh_hex}", TAKEN="200", REFERENCE=r"regex:id=(\w+)")
    assert outcome_of(gateway, "x" * 161) == Taken(("A", "B"))
    assert read_form(receiver.received[1])["udh"].endswith("0202")


# Jasmin


def test_a_request_to_jasmin_has_the_text_in_hexadecimal(receiver: Receiver) -> None:
    receiver.act = status(200, body='Success "a"')
    gateway = make_gateway(receiver, PRESET="jasmin")
    for body in "@ [€]\n", "Ж😀", "x" * 161:
        outcome_of(gateway, body)
    forms = [read_form(received) for received in receiver.received]
    assert [(form["coding"], form["hex-content"]) for form in forms] == [
        ("0", "00201b3c1b651b3e0a"),
        ("8", "0416d83dde00"),
        ("0", "78" * 161),
    ]
    assert forms[0]["dlr-url"] == f"{PUBLIC_URL}/gateways/http/{CALLBACK_SECRET}/receipt/{make_message(TAKEN).id}"
