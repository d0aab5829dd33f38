"""Tests of texts that a gateway receives: the account that gets them, their parts, repetitions, and odd content."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.domain import accounts
from phonify.domain.inbound import GAP
from phonify.gateways.events import Part, Received
from phonify.services import Services
from tests.support.fake_gateway import OnceGateway

SENDER, OWN, OTHER = "+4915112345678", "+15005550006", "+442071838750"


class Numbered(OnceGateway):
    number = OWN


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(Numbered())


@pytest.fixture
def take(services: Services) -> Callable[..., None]:
    """Return a function that lets the gateway receive texts."""
    return lambda *texts: services.gateways["gateway"].take(texts)


@pytest.fixture
def bodies(client: FlaskClient) -> Callable[[], list[str]]:
    """Return a function that lists the received texts of the account `default`, oldest first."""

    def bodies() -> list[str]:
        found = client.get("/v1/messages?direction=inbound&limit=100").get_json()["messages"]
        return [message["body"] for message in reversed(found)]

    return bodies


def text(body: str, event_id: str = "1", *, to: str | None = OWN, sender: str = SENDER) -> Received:
    return Received(sender, body, event_id, to)


def part(body: str, number: int, total: int = 3, *, reference: str = "7", event_id: str | None = None) -> Received:
    return Received(SENDER, body, event_id or f"{reference}-{number}", OWN, part=Part(reference, total, number))


# The account


def test_a_text_to_the_default_sender_belongs_to_the_account_default(take, client) -> None:
    take(text("Hello"))
    (message,) = client.get("/v1/messages").get_json()["messages"]
    assert (message["origin"]["number"], message["to"], message["body"]) == (SENDER, OWN, "Hello")
    assert (message["direction"], message["origin"]["country"]) == ("inbound", "DE")


def test_a_text_without_a_recipient_goes_to_the_number_of_the_gateway(take, bodies) -> None:
    take(text("Hello", to=None))
    assert bodies() == ["Hello"]


def test_a_number_of_another_account_decides_who_gets_a_text(take, bodies, stranger, services) -> None:
    other = accounts.find_account(services.database, "other")
    assert services.inbound.give_number(other, OWN) == 0
    take(text("Hello"))
    assert bodies() == []
    assert [message["body"] for message in stranger.get("/v1/messages").get_json()["messages"]] == ["Hello"]
    assert services.inbound.list_numbers() == [(OWN, "other")]


def test_a_text_to_an_unknown_number_waits_until_an_account_gets_the_number(take, bodies, services, caplog) -> None:
    take(text("Hello", to=OTHER), text("Again", "2", to=OTHER))
    assert (bodies(), services.inbound.count_open()) == ([], 2)
    assert "belongs to no account" in caplog.text
    assert OTHER not in caplog.text
    account = accounts.find_account(services.database, "default")
    assert services.inbound.give_number(account, OTHER) == 2
    assert (bodies(), services.inbound.count_open()) == (["Hello", "Again"], 0)


def test_after_a_number_is_taken_away_its_texts_wait_again(take, bodies, services) -> None:
    account = accounts.find_account(services.database, "default")
    services.inbound.give_number(account, OTHER)
    assert services.inbound.take_number(OTHER) is True
    assert services.inbound.take_number(OTHER) is False
    take(text("Hello", to=OTHER))
    assert (bodies(), [one.body for one in services.inbound.list_open(limit=10)]) == ([], ["Hello"])


def test_stop_opts_the_phone_out(take, client) -> None:
    take(text("STOP"))
    assert client.get(f"/v1/subscriptions/{SENDER}").get_json()["subscription"]["subscribed"] is False


# Repetitions and odd content


def test_a_repeated_text_is_stored_once(take, bodies) -> None:
    take(text("Hello"), text("Hello"))
    take(text("Hello"))
    assert bodies() == ["Hello"]


def test_the_same_words_in_another_event_are_another_text(take, bodies) -> None:
    take(text("Yes", "1"), text("Yes", "2"))
    assert bodies() == ["Yes", "Yes"]


def test_a_repetition_is_recognised_for_a_month(take, bodies, services, clock) -> None:
    take(text("Hello"))
    clock.advance(29 * 86_400)
    services.clean()
    take(text("Hello"))
    assert bodies() == ["Hello"]


@pytest.mark.parametrize("body", ["", "a\0b", "\ud83d", "x" * 2_000, "🙂" * 300])
def test_any_text_is_stored(take, bodies, body: str) -> None:
    take(text(body))
    assert bodies() == [body.replace("\0", "\ufffd").replace("\ud83d", "\ufffd")]


@pytest.mark.parametrize("sender", ["BANK", "12345", "T-Mobile & Söhne GmbH", "", "0151 2345", "+0", "x" * 100])
def test_a_text_from_any_sender_is_stored(take, bodies, client, sender: str) -> None:
    take(text("Hello", sender=sender))
    assert bodies() == ["Hello"]


def test_the_time_of_a_text_may_have_any_time_zone(take, execute) -> None:
    at = datetime(2026, 1, 31, 11, 29, tzinfo=timezone(timedelta(hours=2)))
    take(text("Hello")._replace(at=at))
    assert execute("SELECT at FROM received_texts") == [("2026-01-31T09:29:00.000Z",)]


# Parts


@pytest.mark.parametrize("order", [*permutations((1, 2, 3))])
def test_parts_are_joined_in_any_order(take, bodies, order: tuple[int, ...]) -> None:
    pieces = {1: "Once ", 2: "upon ", 3: "a time"}
    for number in order:
        assert bodies() == []
        take(part(pieces[number], number))
    assert bodies() == ["Once upon a time"]


def test_parts_wait_ten_minutes_also_after_the_clock_was_set_back(take, bodies, services, clock) -> None:
    take(part("a", 1), part("c", 3))
    clock.advance(-86_400)
    services.make_upkeep().follow_clock()
    clock.advance(599)
    services.clean()
    assert bodies() == []
    clock.advance(2)
    services.clean()
    assert bodies() == [f"a{GAP}c"]


def test_a_repeated_part_is_ignored(take, bodies) -> None:
    take(part("a", 1), part("a", 1), part("a", 1, event_id="again"), part("b", 2))
    assert bodies() == []
    take(part("c", 3))
    assert bodies() == ["abc"]


def test_a_text_without_a_part_is_stored_with_a_gap_after_ten_minutes(take, bodies, services, clock) -> None:
    take(part("a", 1), part("c", 3))
    clock.advance(599)
    services.clean()
    assert bodies() == []
    clock.advance(2)
    services.clean()
    assert bodies() == [f"a{GAP}c"]


def test_several_missing_parts_are_one_gap(take, bodies, services, clock) -> None:
    take(part("c", 3, 4))
    clock.advance(601)
    services.clean()
    assert bodies() == [f"{GAP}c{GAP}"]


def test_a_late_part_is_not_lost(take, bodies, services, clock) -> None:
    take(part("a", 1), part("c", 3))
    clock.advance(601)
    services.clean()
    take(part("b", 2))
    clock.advance(601)
    services.clean()
    assert bodies() == [f"a{GAP}c", f"{GAP}b{GAP}"]


def test_another_text_with_the_same_reference_begins_anew(take, bodies, services, clock) -> None:
    take(part("a", 1), part("b", 2))
    take(part("x", 1, event_id="x"), part("y", 2, event_id="y"), part("z", 3, event_id="z"))
    assert bodies() == [f"ab{GAP}", "xyz"]


def test_parts_of_two_phones_do_not_mix(take, bodies) -> None:
    one = part("a", 1, 2)
    take(one, part("b", 2, 2)._replace(sender="+4915112345679"))
    assert bodies() == []
    take(part("b", 2, 2, event_id="z"))
    assert bodies() == ["ab"]


@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 1), (1, 0), (-1, 3), (1, 256)])
def test_a_part_with_impossible_numbers_is_a_whole_text(take, bodies, number: int, total: int) -> None:
    take(part("a", number, total))
    assert bodies() == ["a"]


def test_parts_to_an_unknown_number_are_joined_when_it_gets_an_account(take, bodies, services, clock) -> None:
    take(*(one._replace(to=OTHER) for one in (part("b", 2, 2), part("a", 1, 2))))
    clock.advance(601)
    services.clean()
    services.inbound.give_number(accounts.find_account(services.database, "default"), OTHER)
    assert bodies() == ["ab"]


def test_a_stored_text_is_not_kept_twice(take, execute) -> None:
    take(part("a", 1, 2), part("b", 2, 2), text("Hello"))
    assert {body for (body,) in execute("SELECT body FROM received_texts")} == {""}


def test_nothing_of_a_batch_is_stored_if_a_part_of_it_fails(take, services, bodies, monkeypatch) -> None:
    broken: Any = Received(SENDER, "b", None, OWN)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="event_id"):
        take(text("a"), broken)
    assert bodies() == []


# Other accounts


def test_the_default_sender_of_an_account_is_no_claim_to_a_number(take, bodies, stranger, services) -> None:
    other = accounts.find_account(services.database, "other")
    accounts.set_origin(services.database, other, OWN)
    take(text("Secret"))
    assert (bodies(), stranger.get("/v1/messages").get_json()["messages"]) == (["Secret"], [])


def test_texts_with_the_same_reference_to_an_unknown_number_stay_apart(take, bodies, services) -> None:
    sent = [part(body, number, 2, event_id=f"{body}{number}") for body in ("a", "b") for number in (1, 2)]
    take(*(one._replace(to=OTHER) for one in sent))
    assert services.inbound.give_number(accounts.find_account(services.database, "default"), OTHER) == 2
    assert bodies() == ["aa", "bb"]


def test_forgetting_a_phone_leaves_the_parts_for_another_account(take, stranger, services) -> None:
    account, other = (accounts.find_account(services.database, name) for name in ("default", "other"))
    services.inbound.give_number(other, OTHER)
    take(part("STO", 1, 2)._replace(to=OTHER))
    services.retention.forget(account, SENDER)
    take(part("P!", 2, 2)._replace(to=OTHER))
    assert [message["body"] for message in stranger.get("/v1/messages").get_json()["messages"]] == ["STOP!"]
