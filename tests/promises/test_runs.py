"""Tests of test runs: separate accounts under /sandbox/runs that count for their creator and are removed."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.services import Services
from tests.support.app import KEY, FakeClock, faults_of, sign_in
from tests.support.fake_gateway import FakeGateway, OnceGateway, PowerCut, act_as
from tests.support.operating import Operator
from tests.support.receivers import Receiver

PHONE = "+14560000000"
INBOUND = {"from": PHONE, "to": "+15005550006", "body": "Hi"}
HELLO = {"to": PHONE, "body": "Hello"}
NO_ID = "019c1353-98c0-7000-8000-5c0ffee00009"
HERE = {"Sec-Fetch-Site": "same-origin"}
Rows = dict[str, list[Any]]


class Sandbox(FakeGateway):
    """A gateway that is not the stub, but a sandbox."""

    sandbox = True


def create(client: FlaskClient, **arguments: Any) -> dict[str, Any]:
    answer = client.post("/sandbox/runs", json=arguments)
    assert answer.status_code == 201
    run: dict[str, Any] = answer.get_json()["run"]
    return run


def without_key(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name not in ("api_key", "twilio")}


def enter(app: Flask, run: dict[str, Any]) -> FlaskClient:
    """Return a client with the key of a run."""
    client = app.test_client()
    client.key = run["api_key"]
    return client


def list_runs(client: FlaskClient) -> list[dict[str, Any]]:
    answer = client.get("/sandbox/runs")
    assert answer.status_code == 200
    runs: list[dict[str, Any]] = answer.get_json()["runs"]
    return runs


def list_bodies(client: FlaskClient) -> list[str]:
    return [message["body"] for message in client.get("/v1/messages").get_json()["messages"]]


@pytest.fixture
def run(client: FlaskClient) -> dict[str, Any]:
    return create(client, name="one", ttl=60)


@pytest.fixture
def inside(app: Flask, run: dict[str, Any]) -> FlaskClient:
    """A client with the key of the run."""
    return enter(app, run)


@pytest.fixture
def read_all(execute: Callable[..., Any]) -> Callable[[], Rows]:
    """Return a function that reads all rows of all tables."""

    def read() -> Rows:
        tables = [name for (name,) in execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
        return {table: execute(f"SELECT * FROM {table}") for table in tables}

    return read


# Creating


def test_a_run_is_shown_with_its_key_once(client: FlaskClient) -> None:
    run = create(client, name="checkout")
    assert set(run) == {"id", "name", "api_key", "twilio", "created_at", "expires_at"}
    assert (run["name"], run["created_at"], run["expires_at"]) == (
        "checkout",
        "2026-01-31T09:30:00.000Z",
        "2026-01-31T10:30:00.000Z",
    )
    assert list_runs(client) == [without_key(run)]
    assert client.get(f"/sandbox/runs/{run['id']}").get_json() == {"run": without_key(run)}


def test_the_runs_of_an_account_are_listed_the_newest_first(client: FlaskClient) -> None:
    runs = [create(client, ttl=ttl) for ttl in (10, 86_400, 60)]
    assert [run["id"] for run in list_runs(client)] == [run["id"] for run in reversed(runs)]
    assert [run["expires_at"] for run in runs] == [
        "2026-01-31T09:30:10.000Z",
        "2026-02-01T09:30:00.000Z",
        "2026-01-31T09:31:00.000Z",
    ]
    assert [run["name"] for run in runs] == [None, None, None]
    assert len({run["api_key"] for run in runs}) == 3


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        ({"ttl": 9}, [("invalid_ttl", "ttl")]),
        ({"ttl": 86_401}, [("invalid_ttl", "ttl")]),
        ({"ttl": "1.5"}, [("invalid_ttl", "ttl")]),
        ({"ttl": 60.5, "name": ""}, [("invalid_name", "name"), ("invalid_ttl", "ttl")]),
        ({"name": "x" * 101}, [("invalid_name", "name")]),
        ({"name": "a\0b"}, [("invalid_name", "name")]),
        ({"name": ["a", "b"]}, [("repeated_argument", "name")]),
    ],
)
def test_arguments_that_are_wrong_create_nothing(client: FlaskClient, arguments: Any, faults: Any) -> None:
    response = client.post("/sandbox/runs", json=arguments)
    assert response.status_code == 400
    assert sorted(faults_of(response)) == faults
    assert list_runs(client) == []


def test_a_name_may_be_anything_people_write_and_several_runs_may_have_it(client: FlaskClient) -> None:
    for name in ("default", "default", "x" * 100, "käse 👍 <b>"):
        assert create(client, name=name)["name"] == name
    assert len(list_runs(client)) == 4


def test_a_run_has_the_default_sender_of_its_creator(app: Flask, operator: Operator) -> None:
    client = app.test_client()
    client.key = operator.make_key("other", origin="+14560000009")
    inside = enter(app, create(client))
    assert inside.post("/v1/messages", json=HELLO).get_json()["message"]["origin"]["number"] == "+14560000009"


def test_a_run_can_not_create_runs(client: FlaskClient, inside: FlaskClient) -> None:
    response = inside.post("/sandbox/runs")
    assert (response.status_code, faults_of(response)) == (402, [("run_cannot_create_runs", None)])
    assert len(list_runs(client)) == 1
    assert list_runs(inside) == []


def test_with_a_gateway_that_really_sends_it_is_404(make_app: Callable[..., Flask]) -> None:
    client = make_app(OnceGateway()).test_client()
    assert client.post("/sandbox/runs").status_code == 404


def test_a_whole_number_in_json_may_have_a_decimal_point(client: FlaskClient) -> None:
    assert create(client, ttl=60.0)["expires_at"] == "2026-01-31T09:31:00.000Z"


def test_a_request_needs_no_arguments_and_no_body(client: FlaskClient) -> None:
    assert client.post("/sandbox/runs").status_code == 201


# Who sees which runs


def test_runs_and_their_creator_do_not_see_each_other_s_messages(app: Flask, client: FlaskClient) -> None:
    clients = [client, enter(app, create(client)), enter(app, create(client))]
    for number, one in enumerate(clients):
        one.post("/v1/messages", json={**HELLO, "body": f"Number {number}"})
    assert [list_bodies(one) for one in clients] == [["Number 0"], ["Number 1"], ["Number 2"]]
    clients[1].post("/sandbox/inbound", json={**INBOUND, "body": "STOP"})
    assert [one.post("/v1/messages", json=HELLO).status_code for one in clients] == [201, 402, 201]
    assert clients[1].delete("/sandbox/messages").get_json() == {"removed": 3}
    assert [len(list_bodies(one)) for one in clients] == [2, 0, 2]


def test_one_idempotency_key_is_another_in_each_run(app: Flask, client: FlaskClient) -> None:
    for one in (client, enter(app, create(client)), enter(app, create(client))):
        response = one.post("/v1/messages", json=HELLO, headers={"Idempotency-Key": "the same"})
        assert (response.status_code, "Idempotent-Replayed" in response.headers) == (201, False)


@pytest.mark.parametrize("method", ["GET", "DELETE", "DESTROY"])
def test_for_any_other_key_a_run_is_404(
    app: Flask, client: FlaskClient, stranger: FlaskClient, run: dict[str, Any], method: str
) -> None:
    other_run = enter(app, create(client))
    for one in (stranger, other_run):
        for run_id in (run["id"], NO_ID, "nothing"):
            response = one.open(f"/sandbox/runs/{run_id}", method=method)
            assert (response.status_code, faults_of(response)) == (404, [("not_found", None)])
    assert list_runs(stranger) == []
    assert len(list_runs(client)) == 2


def test_a_run_finds_itself(run: dict[str, Any], inside: FlaskClient) -> None:
    assert inside.get(f"/sandbox/runs/{run['id']}").get_json() == {"run": without_key(run)}


# Ending


@pytest.mark.parametrize("method", ["DELETE", "DESTROY"])
@pytest.mark.parametrize("whose", ["the creator's", "the run's own"])
def test_a_run_is_ended_with_the_key_of_its_creator_or_its_own(
    client: FlaskClient, run: dict[str, Any], inside: FlaskClient, clock: FakeClock, whose: str, method: str
) -> None:
    clock.advance(5)
    ending = client if whose == "the creator's" else inside
    response = ending.open(f"/sandbox/runs/{run['id']}", method=method)
    assert response.status_code == 200
    assert response.get_json() == {"run": {**without_key(run), "expires_at": "2026-01-31T09:30:05.000Z"}}
    assert inside.get("/v1/messages").status_code == 401
    assert client.get(f"/sandbox/runs/{run['id']}").status_code == 404
    assert client.delete(f"/sandbox/runs/{run['id']}").status_code == 404
    assert list_runs(client) == []


def test_a_key_is_not_valid_from_the_end_of_its_run_on(
    client: FlaskClient, run: dict[str, Any], inside: FlaskClient, anonymous: FlaskClient, clock: FakeClock
) -> None:
    sign_in(anonymous, run["api_key"])
    clock.advance(59.999)
    assert inside.post("/v1/messages", json=HELLO).status_code == 201
    assert anonymous.get("/inbox/settings").status_code == 200
    clock.advance(0.001)
    response = inside.post("/v1/messages", json=HELLO)
    assert (response.status_code, faults_of(response)) == (401, [("unauthorized", None)])
    assert inside.delete(f"/sandbox/runs/{run['id']}").status_code == 401
    assert anonymous.get("/inbox/settings").status_code == 303
    assert list_runs(client) == []
    assert client.get(f"/sandbox/runs/{run['id']}").status_code == 404


def fill(app: Flask, run: dict[str, Any], operator: Operator, url: str) -> None:
    """Add rows of a run to every table that can have such rows."""
    inside, account = enter(app, run), f"run {run['id']}"
    sign_in(inside, run["api_key"])
    operator.set_webhook(url, account)
    operator.run("keywords", "set", "--help-reply", "Call us", "--account", account)
    inside.post("/v1/messages", json=HELLO, headers={"Idempotency-Key": "one"})
    inside.post("/v1/messages", json={**HELLO, "to": "+15005550010"})
    inside.post("/v1/messages", json={**HELLO, "to": "+15005550012"})
    inside.post("/v1/messages", json={**HELLO, "send_at": "2026-01-31T09:30:30Z"})
    inside.post("/sandbox/inbound", json={**INBOUND, "from": "+14560000001", "body": "STOP"})
    inside.post("/inbox/settings/keys", data={"name": "another"}, headers=HERE)


@pytest.mark.parametrize("way", ["deleted", "over"])
def test_all_that_a_run_holds_is_removed(
    app: Flask,
    client: FlaskClient,
    services: Services,
    operator: Operator,
    deliver: Callable[..., int],
    post_due: Callable[..., int],
    clock: FakeClock,
    read_all: Callable[[], Rows],
    way: str,
) -> None:
    operator.set_limits(quota=100, rate=1_000)
    client.post("/v1/messages", json={**HELLO, "body": "The creator's"})
    deliver()
    before = read_all()
    run = create(client, ttl=60)
    fill(app, run, operator, "http://127.0.0.1:1/")
    deliver()
    post_due()
    filled = {table for table, rows in read_all().items() if len(rows) > len(before[table])}
    assert filled > {"runs", "messages", "message_attempts", "webhook_deliveries", "webhook_attempts", "conversations"}
    if way == "deleted":
        assert client.delete(f"/sandbox/runs/{run['id']}").status_code == 200
    else:
        clock.advance(60)
        services.make_upkeep().step()
    counted = {"quota_days", "rate_minutes"}  # for the creator
    after = read_all()
    assert {table: rows for table, rows in after.items() if table not in counted} == {
        table: rows for table, rows in before.items() if table not in counted
    }
    assert [row[0] for table in counted for row in after[table]] == [1] * 2


def test_more_than_one_transaction_removes_is_removed(
    app: Flask, client: FlaskClient, inside: FlaskClient, run: dict[str, Any], execute: Callable[..., Any]
) -> None:
    for _ in range(2):
        to = [f"+1456000{number:04d}" for number in range(800)]
        assert inside.post("/v1/messages", json={**HELLO, "to": to}).status_code == 201
    assert client.delete(f"/sandbox/runs/{run['id']}").status_code == 200
    assert execute("SELECT count(*) FROM messages") == [(0,)]
    assert execute("SELECT name FROM accounts") == [("default",)]


def test_the_id_of_an_account_is_not_given_to_another_run(
    client: FlaskClient, execute: Callable[..., Any], operator: Operator
) -> None:
    seen = set()
    for _ in range(5):
        run = create(client)
        seen |= set(execute("SELECT account_id FROM runs"))
        client.delete(f"/sandbox/runs/{run['id']}")
    assert len(seen) == 5
    operator.run("accounts", "create", "next")
    assert [account["id"] for account in operator.show("accounts", "list")] == [1, 2]


# Messages and webhooks of a run that has ended


@pytest.mark.parametrize("way", ["deleted", "over"])
def test_messages_that_are_due_after_the_end_are_not_sent(
    make_app: Callable[..., Flask], deliver: Callable[..., int], clock: FakeClock, execute: Callable[..., Any], way: str
) -> None:
    gateway = Sandbox()
    app = make_app(gateway)
    client = app.test_client()
    run = create(client, ttl=60)
    enter(app, run).post("/v1/messages", json={**HELLO, "send_at": "2026-01-31T09:31:00Z"})
    enter(app, run).post("/v1/messages", json=HELLO)
    if way == "deleted":
        client.delete(f"/sandbox/runs/{run['id']}")
    clock.advance(60)
    assert deliver(app) == 0
    assert gateway.handed == []
    assert execute("SELECT count(*) FROM messages") == [(0,)]


def test_a_message_that_the_gateway_has_in_hand_at_the_end_vanishes(
    make_app: Callable[..., Flask], deliver: Callable[..., int], clock: FakeClock, read_all: Callable[[], Rows]
) -> None:
    gateway = Sandbox()
    app = make_app(gateway)
    client = app.test_client()
    assert list_runs(client) == []
    before = read_all()
    run = create(client)
    Operator(app).set_webhook("http://127.0.0.1:1/", f"run {run['id']}")
    enter(app, run).post("/v1/messages", json=HELLO)
    gateway.act = lambda _: client.delete(f"/sandbox/runs/{run['id']}")
    assert deliver(app) == 1
    clock.advance(7 * 86_400)
    assert deliver(app) == 0
    assert read_all() == before


def test_after_a_crash_a_message_of_a_run_that_has_ended_is_not_sent_again(
    make_app: Callable[..., Flask], deliver: Callable[..., int], clock: FakeClock, execute: Callable[..., Any]
) -> None:
    gateway = Sandbox(act_as(PowerCut()))
    app = make_app(gateway)
    run = create(app.test_client(), ttl=60)
    enter(app, run).post("/v1/messages", json=HELLO)
    with pytest.raises(PowerCut):
        deliver(app)
    clock.advance(600)
    assert deliver(make_app(gateway)) == 0
    assert len(gateway.handed) == 1
    assert execute("SELECT count(*) FROM messages") == [(0,)]


@pytest.mark.parametrize("way", ["deleted", "over"])
def test_nothing_is_posted_after_the_end(
    app: Flask,
    client: FlaskClient,
    operator: Operator,
    deliver: Callable[..., int],
    post_due: Callable[..., int],
    receiver: Receiver,
    clock: FakeClock,
    way: str,
) -> None:
    run = create(client, ttl=60)
    operator.set_webhook(receiver.url, f"run {run['id']}")
    inside = enter(app, run)
    inside.post("/v1/messages", json=HELLO)
    deliver()
    assert post_due() == 1
    inside.post("/sandbox/inbound", json=INBOUND)
    inside.post("/v1/messages", json=HELLO)
    deliver()
    if way == "deleted":
        client.delete(f"/sandbox/runs/{run['id']}")
    else:
        clock.advance(60)
    assert post_due() == 0
    assert len(receiver.received) == 1


def test_a_request_that_is_under_way_at_the_end_is_401_and_stores_nothing(
    make_app: Callable[..., Flask], execute: Callable[..., Any]
) -> None:
    class Ending(Sandbox):
        def check(self, number: str, origin: str, body: str) -> None:
            client.delete(f"/sandbox/runs/{run['id']}")

    app = make_app(Ending())
    client = app.test_client()
    run = create(client)
    response = enter(app, run).post("/v1/messages", json=HELLO)
    assert (response.status_code, faults_of(response)) == (401, [("unauthorized", None)])
    assert response.headers["WWW-Authenticate"] == 'Basic realm="Phonify"'
    assert execute("SELECT count(*) FROM messages") == [(0,)]


# Limits


def test_requests_of_a_run_count_for_the_rate_limit_of_its_creator(
    app: Flask, client: FlaskClient, operator: Operator
) -> None:
    operator.set_limits(rate=6)
    clients = [client, enter(app, create(client)), enter(app, create(client))]
    responses = [one.get("/v1/messages") for one in (*clients, *clients)]
    assert [response.status_code for response in responses] == [200, 200, 200, 200, 429, 429]
    assert responses[1].headers["RateLimit"].startswith('"default";r=2;')


def test_messages_of_a_run_count_for_the_quota_of_its_creator(
    app: Flask, client: FlaskClient, operator: Operator
) -> None:
    operator.set_limits(quota=3)
    one, two = (enter(app, create(client)) for _ in range(2))
    statuses = [sender.post("/v1/messages", json=HELLO).status_code for sender in (one, two, client, one, two, client)]
    assert statuses == [201, 201, 201, 402, 402, 402]
    assert operator.count_quota_used() == 3


def test_a_limit_that_the_creator_gets_later_holds_for_its_runs(
    inside: FlaskClient, client: FlaskClient, run: dict[str, Any], operator: Operator
) -> None:
    assert inside.post("/v1/messages", json=HELLO).status_code == 201
    operator.set_limits(quota=0)
    assert inside.post("/v1/messages", json=HELLO).status_code == 402
    operator.set_limits()
    client.delete(f"/sandbox/runs/{run['id']}")


def test_an_account_has_at_most_a_hundred_runs(client: FlaskClient, stranger: FlaskClient, clock: FakeClock) -> None:
    first = create(client, ttl=60)
    runs = [create(client) for _ in range(99)]
    clock.advance(10.5)
    response = client.post("/sandbox/runs")
    assert (response.status_code, faults_of(response)) == (429, [("too_many_runs", None)])
    assert response.headers["Retry-After"] == "50"
    create(stranger)
    client.delete(f"/sandbox/runs/{runs[0]['id']}")
    create(client)
    assert client.post("/sandbox/runs").status_code == 429
    clock.advance(49.5)
    create(client)
    assert first["id"] not in {run["id"] for run in list_runs(client)}
    assert len(list_runs(client)) == 100


def test_two_clients_at_once_do_not_exceed_it(make_app: Callable[..., Flask]) -> None:
    apps = [make_app(), make_app()]
    for _ in range(90):
        create(apps[0].test_client())
    statuses: list[int] = []

    def work(client: FlaskClient) -> None:
        statuses.extend(client.post("/sandbox/runs").status_code for _ in range(10))

    threads = [threading.Thread(target=work, args=(app.test_client(),)) for app in apps for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 10 + [429] * 30
    assert len(list_runs(apps[1].test_client())) == 100


# The view of the operator and of the creator


def test_lists_of_commands_leave_runs_out(operator: Operator, run: dict[str, Any]) -> None:
    assert [account["name"] for account in operator.show("accounts", "list")] == ["default"]
    assert [key["account"] for key in operator.show("keys", "list")] == ["default"]
    name = f"run {run['id']}"
    assert [key["account"] for key in operator.show("keys", "list", "--account", name)] == [name]


def test_a_run_s_limits_can_not_be_set(app: Flask, run: dict[str, Any]) -> None:
    result = app.test_cli_runner().invoke(args=["accounts", "limit", f"run {run['id']}", "--quota", "1"])
    assert result.exit_code == 1
    assert "the limits of its creator" in result.output


def test_a_key_of_a_run_opens_the_inbox_of_the_run(
    anonymous: FlaskClient, inside: FlaskClient, client: FlaskClient, run: dict[str, Any]
) -> None:
    inside.post("/v1/messages", json={**HELLO, "body": "The run's"})
    client.post("/v1/messages", json={**HELLO, "body": "The creator's"})
    sign_in(anonymous, run["api_key"])
    page = anonymous.get(f"/inbox/phones/{PHONE}").get_data(as_text=True)
    assert "The run&#39;s" in page
    assert "The creator" not in page


def test_the_database_is_sound_while_there_are_runs(inside: FlaskClient, operator: Operator) -> None:
    inside.post("/v1/messages", json=HELLO)
    assert "is not damaged" in operator.run("check")


# The settings page


@pytest.fixture
def browser(anonymous: FlaskClient) -> FlaskClient:
    """A client that is signed in with the key of the creator."""
    sign_in(anonymous, KEY)
    return anonymous


def read_section(browser: FlaskClient) -> str | None:
    """Return the text about runs on the settings page, without the markup."""
    page = browser.get("/inbox/settings").get_data(as_text=True)
    section = re.search(r'<section id="runs".*?</section>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", section[0]).split()) if section else None


def test_the_settings_page_shows_runs_with_time_left_and_messages(
    client: FlaskClient, browser: FlaskClient, inside: FlaskClient, clock: FakeClock
) -> None:
    inside.post("/v1/messages", json=HELLO)
    unnamed = create(client, ttl=7_201)
    create(client, name="<b>", ttl=3_600)
    clock.advance(1)
    shown = read_section(browser)
    assert shown is not None
    assert "one 1 min 1 End the run one" in shown
    assert f"{unnamed['id']} 2 h 0 min 0 End" in shown
    assert "&lt;b&gt; 1 h 0 min 0 End" in shown


def test_without_runs_the_page_says_how_to_create_one(browser: FlaskClient) -> None:
    shown = read_section(browser)
    assert shown is not None
    assert "None at the moment." in shown
    assert "POST /sandbox/runs" in shown


def test_a_run_is_ended_on_the_page(
    client: FlaskClient, browser: FlaskClient, run: dict[str, Any], inside: FlaskClient
) -> None:
    response = browser.post(f"/inbox/settings/runs/{run['id']}/end", headers=HERE)
    assert (response.status_code, response.headers["Location"]) == (303, "/inbox/settings#runs")
    assert list_runs(client) == []
    assert inside.get("/v1/messages").status_code == 401
    assert browser.post(f"/inbox/settings/runs/{run['id']}/end", headers=HERE).status_code == 404


def test_a_run_of_another_account_is_404_and_goes_on(
    client: FlaskClient, stranger: FlaskClient, run: dict[str, Any]
) -> None:
    sign_in(stranger, stranger.key)
    assert stranger.post(f"/inbox/settings/runs/{run['id']}/end", headers=HERE).status_code == 404
    assert len(list_runs(client)) == 1


def test_the_page_of_a_run_has_no_runs_and_says_whose_limits_count(
    browser: FlaskClient, run: dict[str, Any], operator: Operator, inside: FlaskClient
) -> None:
    operator.set_limits(quota=5)
    inside.post("/v1/messages", json=HELLO)
    sign_in(browser, run["api_key"])
    assert read_section(browser) is None
    page = browser.get("/inbox/settings").get_data(as_text=True)
    assert "1 of 5 messages used today" in page
    limits = "This test run has the same limits as that account."
    assert f"Another account has created this test run. {limits}" in page


def test_with_a_gateway_that_really_sends_the_page_has_no_runs(make_app: Callable[..., Flask]) -> None:
    client = make_app(OnceGateway()).test_client()
    sign_in(client, KEY)
    assert read_section(client) is None
