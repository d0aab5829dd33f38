"""`/sandbox/lab`: start a lab, watch it, read its report."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import FakeClock, faults_of
from tests.support.lab_receivers.server import serving_python
from tests.support.load import wait_until
from tests.support.receivers import Receiver, status

Execute = Callable[..., list[tuple[Any, ...]]]


def set_webhook(client: FlaskClient, url: str) -> None:
    assert client.put("/v1/webhook", json={"url": url}).status_code == 200


def finish(client: FlaskClient) -> dict[str, Any]:
    """Wait until the lab has ended, and return it."""
    lab: dict[str, Any] = {}

    def has_ended() -> bool:
        lab.update(client.get("/sandbox/lab").get_json()["lab"])
        return lab["state"] != "running"

    wait_until(has_ended)
    return lab


def test_a_lab_tries_the_webhook_of_the_account(client: FlaskClient, make_receiver: Callable[..., Receiver]) -> None:
    app = make_receiver(status(401))
    set_webhook(client, app.url)
    response = client.post("/sandbox/lab")
    assert response.status_code == 202
    started = response.get_json()["lab"]
    assert (started["state"], started["report"], started["form"]) == ("running", None, "standard")
    lab = finish(client)
    assert (lab["id"], lab["state"], lab["trial"]) == (started["id"], "finished", None)
    assert lab["report"]["url"] == app.url
    assert lab["report"]["trials"][0]["findings"][0]["verdict"] == "refused_genuine"
    assert lab["finished_at"] is not None


def test_the_webhook_of_the_account_has_one_url_for_all_events(
    client: FlaskClient, make_receiver: Callable[..., Receiver]
) -> None:
    app, other = make_receiver(status(401)), make_receiver(status(401))
    set_webhook(client, app.url)
    assert client.post("/sandbox/lab", json={"status_url": other.url}).status_code == 202
    finish(client)
    assert (len(app.received), len(other.received)) == (1, 0)


@pytest.mark.slow
def test_a_lab_tries_an_app_that_uses_twilio_and_its_probe(client: FlaskClient) -> None:
    with serving_python("twilio", "twice") as address:
        token = {"auth_token": "5c0ffee05c0ffee05c0ffee05c0ffee0", "inbound_url": f"{address}/sms"}
        assert client.put("/sandbox/twilio", json=token).status_code == 200
        urls = {"status_url": f"{address}/status", "probe_url": f"{address}/probe"}
        assert client.post("/sandbox/lab", json={"form": "twilio", **urls}).status_code == 202
        report = finish(client)["report"]
    assert report["probed"] is True
    assert {found["verdict"] for trial in report["trials"] for found in trial["findings"]} == {"handled_twice"}


@pytest.mark.slow
def test_a_lab_stores_no_message_and_no_delivery(client: FlaskClient, receiver: Receiver, execute: Execute) -> None:
    set_webhook(client, receiver.url)
    client.post("/sandbox/lab")
    finish(client)
    assert execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM webhook_deliveries)") == [(0, 0)]
    assert len(receiver.received) > 20


def test_an_account_has_one_lab_at_a_time_in_all_processes(
    make_app: Callable[..., Flask], make_receiver: Callable[..., Receiver]
) -> None:
    app = make_receiver()
    app.act = app.hang
    first, second = make_app().test_client(), make_app().test_client()
    set_webhook(first, app.url)
    assert first.post("/sandbox/lab").status_code == 202
    app.wait_for(1)
    response = second.post("/sandbox/lab")
    assert (response.status_code, faults_of(response)) == (429, [("lab_running", None)])
    assert int(response.headers["Retry-After"]) >= 1
    shown = second.get("/sandbox/lab").get_json()["lab"]
    assert (shown["state"], shown["trial"]) == ("running", "genuine")
    app.stopping.set()
    finish(second)


def test_a_lab_of_a_process_that_has_ended_is_interrupted_and_another_may_begin(
    client: FlaskClient, execute: Execute, clock: FakeClock
) -> None:
    set_webhook(client, "http://127.0.0.1:9/")
    execute(
        "INSERT INTO labs (account_id, id, form, started_at, until, trial) VALUES (1, 'old', 'standard', ?, ?, 'cut')",
        "2026-01-31T09:30:00.000Z",
        "2026-01-31T09:31:00.000Z",
    )
    assert client.post("/sandbox/clock/advance", json={"by": "24h"}).status_code == 200
    assert client.get("/sandbox/lab").get_json()["lab"]["state"] == "running"  # its process may be alive
    clock.advance(60)
    lab = client.get("/sandbox/lab").get_json()["lab"]
    assert (lab["state"], lab["trial"], lab["report"]) == ("interrupted", None, None)
    assert client.post("/sandbox/lab").status_code == 202
    assert finish(client)["state"] == "finished"


def test_a_server_that_stops_interrupts_its_labs(
    make_app: Callable[..., Flask], make_receiver: Callable[..., Receiver]
) -> None:
    app, served = make_receiver(), make_app()
    answering = app.act
    client = served.test_client()
    set_webhook(client, app.url)

    def stop(*arguments: Any) -> None:
        served.extensions["phonify"].stop()
        answering(*arguments)

    app.act = stop
    assert client.post("/sandbox/lab").status_code == 202
    assert finish(make_app().test_client())["state"] == "interrupted"
    assert len(app.received) == 1


def test_the_lab_of_an_ended_test_run_stops(client: FlaskClient, make_receiver: Callable[..., Receiver]) -> None:
    run = client.post("/sandbox/runs", json={}).get_json()["run"]
    app = make_receiver()
    answering = app.act

    def end_run(*arguments: Any) -> None:
        client.delete(f"/sandbox/runs/{run['id']}")
        answering(*arguments)

    inside = client.application.test_client()
    inside.key = run["api_key"]
    set_webhook(inside, app.url)
    app.act = end_run
    assert inside.post("/sandbox/lab").status_code == 202
    app.wait_for(1)
    client.application.extensions["phonify"].labs.close()
    assert len(app.received) == 1


def test_another_account_sees_nothing_of_a_lab(
    client: FlaskClient, stranger: FlaskClient, make_receiver: Callable[..., Receiver]
) -> None:
    set_webhook(client, make_receiver(status(401)).url)
    client.post("/sandbox/lab")
    finish(client)
    response = stranger.get("/sandbox/lab")
    assert (response.status_code, faults_of(response)) == (404, [("not_found", None)])


@pytest.mark.parametrize(
    ("arguments", "code", "faults"),
    [
        ({}, 402, [("no_webhook", None)]),
        ({"form": "twilio"}, 402, [("no_webhook", None)]),
        ({"form": "other"}, 400, [("invalid_form", "form")]),
        ({"form": ["standard", "twilio"]}, 400, [("repeated_argument", "form")]),
        (
            {"status_url": "http://169.254.169.254/", "probe_url": "nothing"},
            400,
            [("invalid_webhook_url", "status_url"), ("invalid_webhook_url", "probe_url")],
        ),
        ({"probe_url": 7}, 400, [("invalid_webhook_url", "probe_url")]),
        ({"probe": "http://127.0.0.1:9/"}, 400, [("unknown_argument", "probe")]),
    ],
)
def test_what_a_lab_refuses(
    client: FlaskClient, arguments: dict[str, Any], code: int, faults: list[tuple[str, str | None]]
) -> None:
    response = client.post("/sandbox/lab", json=arguments)
    assert (response.status_code, faults_of(response)) == (code, faults)
    assert client.get("/sandbox/lab").status_code == 404


def test_without_the_twilio_compatible_api_only_the_standard_form_is_known(make_app: Callable[..., Flask]) -> None:
    response = make_app(TWILIO="off").test_client().post("/sandbox/lab", json={"form": "twilio"})
    assert faults_of(response) == [("invalid_form", "form")]
