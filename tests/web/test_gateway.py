"""Tests of the settings page: the gateway, the numbers of the account, and what only the operator's account sees."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.domain import accounts
from phonify.gateways.base import Doubt, Later
from phonify.gateways.events import Received
from phonify.services import Services
from tests.support.app import sign_in
from tests.support.fake_gateway import OnceGateway

NUMBER, OTHER, PHONE = "+442071838750", "+442071838751", "+14560000000"


@pytest.fixture
def gateway() -> OnceGateway:
    return OnceGateway()


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: OnceGateway) -> Flask:
    return make_app(gateway)


def read_page(client: FlaskClient) -> str:
    """Return the part of the settings page about the gateway, without tags' line breaks."""
    assert client.key is not None  # type: ignore[attr-defined]
    sign_in(client, client.key)  # type: ignore[attr-defined]
    page = client.get("/inbox/settings").get_data(as_text=True)
    begin = page.find('<section id="gateway"')
    return page[begin : page.index("</section>", begin)] if begin >= 0 else ""


def give(services: Services, number: str, name: str) -> None:
    account = accounts.find_account(services.database, name)
    assert account is not None
    services.inbound.give_number(account, number)


def test_the_operator_s_account_sees_the_whole_state(client, gateway, send, deliver) -> None:
    gateway.act = lambda _: Doubt()
    send()
    deliver()
    gateway.act = lambda _: Later(pause=True, retry_after=60, reason="<wrong password>")
    send()
    deliver()
    shown = read_page(client)
    assert "The gateway <code>gateway</code>: paused until 2026-01-31T09:31:00.000Z after a fault" in shown
    assert "&lt;wrong password&gt;" in shown
    assert '<th scope="row">Messages due</th><td>1</td>' in shown
    assert '<th scope="row">Messages in doubt</th><td>1</td>' in shown


def test_another_account_sees_whether_the_gateway_works(stranger, gateway, send, deliver) -> None:
    before = read_page(stranger)
    assert "The gateway <code>gateway</code>: works." in before
    send()
    deliver()
    assert read_page(stranger) == before
    gateway.act = lambda _: Later(pause=True, retry_after=60, reason="wrong password")
    send()
    deliver()
    assert ": paused until 2026-01-31T09:31:00.000Z after a fault." in read_page(stranger)


def test_another_account_does_not_see_the_text_of_a_fault(client, stranger, gateway, send, deliver, clock) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=60, reason="wrong password")
    send()
    deliver()
    for seconds in (0, 61):
        clock.advance(seconds)
        assert "wrong password" in read_page(client)
        assert "wrong password" not in read_page(stranger)


def test_an_account_sees_its_own_numbers_and_no_others(client, stranger, services) -> None:
    give(services, NUMBER, "default")
    give(services, OTHER, "other")
    assert f"Texts to {NUMBER} belong to this account." in read_page(client)
    assert f"Texts to {OTHER} belong to this account." in read_page(stranger)
    assert NUMBER not in read_page(stranger)


def test_only_the_operator_s_account_sees_how_many_texts_have_no_account(client, stranger, services) -> None:
    before = read_page(stranger)
    services.gateways["gateway"].take([Received(PHONE, "Secret", "1", NUMBER)])
    shown = read_page(client)
    assert (
        "Received texts that belong to no account: 1. To see these texts, use the command <code>gateway texts</code>."
        in shown
    )
    assert "Secret" not in shown
    assert read_page(stranger) == before


def test_a_sandbox_shows_only_numbers(make_app) -> None:
    app = make_app()
    assert read_page(app.test_client()) == ""
    give(app.extensions["phonify"], NUMBER, "default")
    shown = read_page(app.test_client())
    assert f"Texts to {NUMBER} belong to this account." in shown
    assert "The gateway" not in shown
