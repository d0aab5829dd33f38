"""PHONIFY_MAX_BODY: how long a body may be, in each place that takes one, and longer ones that are stored already."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.sms.segments import check_text
from tests.support.app import KEY, basic, faults_of, sign_in
from tests.support.operating import Operator

PHONE = "+14560000000"
OWN = "+15005550006"
HERE = {"Sec-Fetch-Site": "same-origin"}
TOO_LONG = [("text_too_long", "body")]
TITLE = "The text is too long. A body can have 160 characters. The setting PHONIFY_MAX_BODY can allow more."
LIMITS = [None, 161, 300, 1_600]  # of the setting; None: it is not set
GRIN = "\N{GRINNING FACE}"  # one code point, two units of UTF-16


@pytest.fixture(params=LIMITS)
def limit(request: pytest.FixtureRequest) -> int:
    """The limit of `app`: each of LIMITS in turn."""
    return request.param or 160


@pytest.fixture
def app(make_app: Callable[..., Flask], limit: int) -> Flask:
    return make_app(**({"MAX_BODY": limit} if limit != 160 else {}))


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    """A browser with a session of the account `default`."""
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, KEY)
    return browser


@pytest.fixture
def send_long(app: Flask) -> Callable[..., str]:
    """Return a function that sends a body by the Twilio-compatible API and returns its id in `/v1`."""
    sid = Operator(app).show("twilio", "show")[0]["account_sid"]

    def send_long(body: str, **parameters: str) -> str:
        client = app.test_client()
        answer = client.post(
            f"/2010-04-01/Accounts/{sid}/Messages.json",
            data={"To": PHONE, "From": OWN, "Body": body, **parameters},
            headers={"Authorization": basic(sid, KEY)},
        )
        assert answer.status_code == 201, answer.text
        message_id: str = client.get("/v1/messages?limit=1").get_json()["messages"][0]["id"]
        return message_id

    return send_long


def send(client: FlaskClient, body: str) -> Any:
    return client.post("/v1/messages", json={"to": PHONE, "body": body})


def change(client: FlaskClient, body: str) -> Any:
    sent = client.post("/v1/messages", json={"to": PHONE, "body": "Hi", "send_at": "2030-01-01T00:00:00Z"}).get_json()
    return client.put(f"/v1/messages/{sent['message']['id']}", json={"body": body})


def simulate(client: FlaskClient, body: str) -> Any:
    return client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": body})


def check(client: FlaskClient, body: str) -> Any:
    return client.post("/sandbox/check", json={"body": body})


REQUESTS = pytest.mark.parametrize("request_with", [send, change, simulate, check])


@REQUESTS
@pytest.mark.parametrize("character", ["x", "ж", GRIN])
def test_a_body_may_have_as_many_code_points_as_the_limit(
    client: FlaskClient, limit: int, request_with: Callable[..., Any], character: str
) -> None:
    answer = request_with(client, character * limit)
    assert answer.status_code in (200, 201)
    assert request_with is check or answer.get_json()["message"]["body"] == character * limit


@REQUESTS
@pytest.mark.parametrize("character", ["x", GRIN])
def test_a_longer_body_is_refused(
    client: FlaskClient, limit: int, request_with: Callable[..., Any], character: str
) -> None:
    answer = request_with(client, character * (limit + 1))
    assert (answer.status_code, faults_of(answer)) == (400, TOO_LONG)
    assert answer.get_json()["errors"][0]["title"] == TITLE


def test_several_faults_are_reported_together_with_the_length(client: FlaskClient, limit: int) -> None:
    answer = client.post("/v1/messages", json={"to": "nobody", "body": "x" * (limit + 1)})
    assert faults_of(answer) == [("invalid_msisdn", "to"), *TOO_LONG]


def test_the_command_send_has_the_same_limit(app: Flask, limit: int) -> None:
    runner = app.test_cli_runner()
    assert runner.invoke(args=["send", PHONE, "x" * limit]).exit_code == 0
    refused = runner.invoke(args=["send", PHONE, "x" * (limit + 1)])
    assert (refused.exit_code, TITLE in refused.output) == (2, True)


@pytest.mark.parametrize("limit", LIMITS)
def test_the_command_check_text_reads_the_limit_from_the_environment(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    if limit is not None:
        monkeypatch.setenv("PHONIFY_MAX_BODY", str(limit))
    longest, runner = limit or 160, make_app().test_cli_runner()
    assert runner.invoke(args=["check-text", "x" * longest, "--max-segments", "99"]).exit_code == 0
    refused = runner.invoke(args=["check-text", "x" * (longest + 1), "--max-segments", "99"])
    assert (refused.exit_code, TITLE in refused.output) == (2, True)


def test_replies_to_keywords_have_the_same_limit(app: Flask, page: FlaskClient, limit: int) -> None:
    runner = app.test_cli_runner()
    assert runner.invoke(args=["keywords", "set", "--stop-reply", "x" * limit]).exit_code == 0
    assert runner.invoke(args=["keywords", "set", "--stop-reply", "x" * (limit + 1)]).exit_code == 2
    saved = page.post("/inbox/settings/keywords", data={"help_reply": "x" * limit}, headers=HERE)
    assert saved.status_code == 303
    refused = page.post("/inbox/settings/keywords", data={"help_reply": "x" * (limit + 1)}, headers=HERE)
    assert (refused.status_code, TITLE in refused.text) == (400, True)
    assert simulate(app.test_client(), "HELP").status_code == 201
    messages = app.test_client().get("/v1/messages?direction=outbound").get_json()["messages"]
    assert [message["body"] for message in messages] == ["x" * limit]


@pytest.mark.parametrize("writer", ["app", "handset"])
@pytest.mark.parametrize("address", ["/inbox/compose", f"/inbox/phones/{PHONE}/messages"])
def test_the_forms_of_the_inbox_have_the_same_limit(
    client: FlaskClient, page: FlaskClient, limit: int, address: str, writer: str
) -> None:
    simulate(client, "Hi")  # so that there is a thread
    form = {"to": PHONE, "as": writer}
    assert page.post(address, data={**form, "body": "x" * limit}, headers=HERE).status_code == 303
    refused = page.post(address, data={**form, "body": "x" * (limit + 1)}, headers=HERE)
    assert (refused.status_code, TITLE in refused.text) == (400, True)
    bodies = [message["body"] for message in client.get("/v1/messages").get_json()["messages"]]
    assert bodies == ["x" * limit, "Hi"]


def test_the_form_that_changes_a_message_has_the_same_limit(
    page: FlaskClient, send: Callable[..., dict[str, Any]], client: FlaskClient, limit: int
) -> None:
    message_id = send(send_at="2030-01-01T00:00:00Z")["id"]
    address = f"/inbox/messages/{message_id}/change"
    assert page.post(address, data={"body": "x" * limit}, headers=HERE).status_code == 303
    refused = page.post(address, data={"body": "y" * (limit + 1)}, headers=HERE)
    assert (refused.status_code, TITLE in refused.text) == (400, True)
    assert client.get(f"/v1/messages/{message_id}").get_json()["message"]["body"] == "x" * limit


def test_the_fields_of_the_pages_cut_nothing_and_the_check_names_the_limit(
    page: FlaskClient, send: Callable[..., dict[str, Any]], limit: int
) -> None:
    message_id = send(send_at="2030-01-01T00:00:00Z")["id"]
    counts = {"/inbox/compose": 1, f"/inbox/phones/{PHONE}": 1, f"/inbox/messages/{message_id}": 2}
    for address, count in counts.items():
        areas = re.findall(r'<textarea [^>]*name="body"[^>]*>', page.get(address).text)
        assert len(areas) == count
        assert not any("maxlength" in area for area in areas), address
    replies = re.findall(r'<input [^>]*name="\w+_reply"[^>]*>', page.get("/inbox/settings").text)
    assert len(replies) == 3
    assert not any("maxlength" in reply for reply in replies)
    shown = page.post("/inbox/check", data={"body": "x" * (limit - 1)}, headers=HERE).text
    assert f"{limit - 1} of {limit} characters" in shown
    shown = page.post("/inbox/check", data={"body": "x" * (limit + 1)}, headers=HERE).text
    assert f"too long: {limit + 1} of {limit} characters" in shown
    assert f"{len(check_text('x' * (limit + 1)).segments)} SMS" in shown


def test_the_description_names_the_limit_of_this_server(app: Flask, page: FlaskClient, limit: int) -> None:
    document = app.test_client().get("/v1/openapi.json").get_json()
    schemas = document["components"]["schemas"]
    for name in ("Send", "Change", "Inbound", "Check"):
        for form in (name, f"{name}Json"):
            body = schemas[form]["properties"]["body"]
            assert (body["minLength"], body["maxLength"]) == (1, limit), form
            assert f"1 to {limit:,} characters" in body["description"]
    assert "maxLength" not in schemas["Message"]["properties"]["body"]
    assert f"1 to {limit:,} characters" in page.get("/docs").text


def test_the_twilio_compatible_api_always_takes_1600_characters(
    client: FlaskClient, page: FlaskClient, send_long: Callable[..., str]
) -> None:
    body = "Begin " + "x" * 1_590 + " end"
    message_id = send_long(body)
    assert client.get(f"/v1/messages/{message_id}").get_json()["message"]["body"] == body
    assert client.get("/sandbox/messages").get_json()["messages"][0]["body"] == body
    assert body in page.get(f"/inbox/phones/{PHONE}").text


def test_a_message_by_another_front_is_found_by_a_long_part_of_it(
    client: FlaskClient, page: FlaskClient, send_long: Callable[..., str]
) -> None:
    message_id = send_long("x" * 1_600)
    found = client.get("/v1/messages", query_string={"q": "x" * 1_600}).get_json()["messages"]
    assert [message["id"] for message in found] == [message_id]
    assert faults_of(client.get("/v1/messages", query_string={"q": "x" * 1_601})) == [("text_too_long", "q")]
    assert "Nothing was found" not in page.get(f"/inbox/search?q={'x' * 1_600}").text


def test_the_time_of_a_message_that_is_longer_than_the_limit_can_be_changed(
    client: FlaskClient, page: FlaskClient, send_long: Callable[..., str]
) -> None:
    scheduled = {"SendAt": "2026-02-01T09:30:00Z", "ScheduleType": "fixed", "MessagingServiceSid": f"MG{'0' * 32}"}
    message_id = send_long("x" * 1_600, **scheduled)
    answer = client.put(f"/v1/messages/{message_id}", json={"send_at": "2030-01-01T00:00:00Z"})
    assert answer.get_json()["message"]["body"] == "x" * 1_600
    form = {"body": "x" * 1_600, "shown_body": "x" * 1_600}
    times = {"send_at": "2030-01-02T00:00:00", "shown_send_at": "2030-01-01T00:00:00"}
    assert page.post(f"/inbox/messages/{message_id}/change", data={**form, **times}, headers=HERE).status_code == 303
    message = client.get(f"/v1/messages/{message_id}").get_json()["message"]
    assert (message["body"], message["send_at"]) == ("x" * 1_600, "2030-01-02T00:00:00.000Z")


def test_two_apps_in_one_process_have_limits_of_their_own(make_app: Callable[..., Flask]) -> None:
    short, long = make_app().test_client(), make_app(MAX_BODY=1_600).test_client()
    for _ in range(2):
        assert send(long, "x" * 1_600).status_code == 201
        assert send(short, "x" * 161).status_code == 400
    shown = short.get("/v1/messages").get_json()["messages"]
    assert [message["body"] for message in shown] == ["x" * 1_600] * 2


def test_a_message_is_shown_in_full_after_the_limit_has_become_lower(make_app: Callable[..., Flask]) -> None:
    message_id = send(make_app(MAX_BODY=300).test_client(), "x" * 300).get_json()["message"]["id"]
    shown = make_app().test_client().get(f"/v1/messages/{message_id}").get_json()["message"]
    assert shown["body"] == "x" * 300
