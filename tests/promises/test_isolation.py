"""Tests that an account can't see, count, change or detect the data of another account.

A stranger requests all data of another account. A second stranger requests the same data where it does not exist. On
every route, both get the same answers, byte by byte, except for the values in their requests.
"""

import itertools
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from werkzeug.routing import Rule

from phonify.sms.numbers import group_number
from tests.support.app import ApiClient, sign_in

THEIRS = "+14560000001"  # a phone that the account has written to and that has opted out
THEIRS_TOO = "+14560000002"  # a phone that the account has written to
NOBODYS = "+14560009999"
SECRET = "what only the account knows"
THEIR_OWN = "+14560000003"  # the sender
THEIR_NUMBER = "+442071838750"  # for texts from a gateway


class World:
    """An account that has one object of each kind."""

    def __init__(self, app, operator, deliver, path) -> None:
        self.app = app
        self.operator = operator
        self.path = path
        self.numbers = itertools.count(1)
        client = app.test_client()
        sign_in(client, client.key)
        here = {"Origin": "http://localhost"}
        assert client.post("/inbox/settings/origin", data={"origin": THEIR_OWN}, headers=here).status_code == 303
        client = app.test_client()
        client.post("/v1/messages", json={"to": THEIRS, "body": SECRET})
        client.post("/v1/messages", json={"to": "+15005550004", "body": SECRET})
        client.post("/v1/messages", json={"to": THEIRS_TOO, "body": SECRET}, headers={"Idempotency-Key": "theirs"})
        client.post("/sandbox/inbound", json={"from": THEIRS, "to": THEIR_OWN, "body": "STOP"})
        operator.run("numbers", "add", THEIR_NUMBER, "--account", "default")
        operator.set_webhook("http://127.0.0.1:1/")
        self.delivery_id = operator.send_test()
        deliver()
        client.post("/v1/messages", json={"to": THEIRS_TOO, "body": SECRET})  # unconfirmed
        client.post("/v1/messages", json={"to": THEIRS_TOO, "body": SECRET, "send_at": "2026-02-01T00:00:00Z"})
        client.post("/v1/messages", json={"to": THEIRS, "body": SECRET})  # opted out
        self.message_ids = [message["id"] for message in client.get("/v1/messages").get_json()["messages"]]
        self.key_ids = [key["id"] for key in operator.show("keys", "list")]
        self.run_id = client.post("/sandbox/runs", json={"name": SECRET}).get_json()["run"]["id"]
        self.no_run_id = re.sub(r"[0-9a-f]{8}$", "00000000", self.run_id)
        rule = {"to": THEIRS_TOO, "outcome": "sent", "name": SECRET}
        self.rule_id = client.post("/sandbox/rules", json=rule).get_json()["rule"]["id"]
        self.no_rule_id = re.sub(r"[0-9a-f]{8}$", "00000000", self.rule_id)
        client.get("/v1/phones")
        # An id with the same time as theirs that belongs to no object.
        self.no_message_id = re.sub(r"[0-9a-f]{8}$", "00000000", self.message_ids[0])
        assert self.no_message_id not in self.message_ids
        self.no_delivery_id = re.sub(r"[0-9a-zA-Z]{8}$", "00000000", self.delivery_id)
        assert self.no_delivery_id != self.delivery_id

    def make_stranger(self) -> tuple[ApiClient, list[tuple[str, str]]]:
        """Return a client with a new account, and the values that identify it in answers."""
        name = f"stranger-{next(self.numbers):06}"
        client = self.app.test_client()
        client.key = self.operator.make_key(name, name="key")
        sign_in(client, client.key)
        return client, [(client.key, "KEY"), (name, "NAME")]

    def dump(self) -> dict[str, list[tuple]]:
        """Return all rows of the account."""
        connection = sqlite3.connect(self.path)
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {}
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            column = next((name for name in ("creator_id", "account_id") if name in columns), None)
            column = "id" if table == "accounts" else column
            if column:
                rows[table] = connection.execute(f"SELECT * FROM {table} WHERE {column} = 1 ORDER BY 1, 2").fetchall()
        connection.close()
        assert len(rows) > 8
        return rows


@pytest.fixture
def world(app, operator, deliver, tmp_path) -> World:
    return World(app, operator, deliver, tmp_path / "phonify.db")


def answer_of(client, names, method, address, asked_for, **options) -> tuple[int, list[tuple[str, str]], str]:
    """Return an answer without its expected differences: the client, the requested values, and new ids."""
    with client.open(address, method=method, headers={"Origin": "http://localhost"}, **options) as response:
        body = response.get_data(as_text=True)
    headers = [
        (name, value)
        for name, value in response.headers
        if name not in ("Date", "Expires", "Content-Length", "X-Request-Id", "ETag")
    ]

    def mask(text: str) -> str:
        for value, name in [*((value, "ASKED") for value in asked_for), *names]:
            grouped = group_number(value)
            # A link has the value in its query.
            for written in (value, quote(value), quote_plus(value), grouped, grouped.replace(" ", "</span><span>")):
                text = text.replace(written, name)
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "ID", text)
        text = re.sub(r"\bphk_[\w-]{32}", "KEY", text)
        text = re.sub(r"\b(AC)?[0-9a-f]{32}\b", "CREDENTIAL", text)
        text = re.sub(r"\b(whsec_|msg_)[\w+/=-]+", r"\1", text)
        # A key without a name is shown with its number.
        return re.sub(r"(/keys/|Revoke the key |> )\d+(?=/|\?|</span>)", r"\1N", text)

    return response.status_code, [(name, mask(value)) for name, value in headers], mask(body)


def list_values(world: World) -> dict[str, list[tuple[str, str]]]:
    """Return pairs of values by the name of their part of an address.

    A pair is an existing value of the account and a value that does not exist.
    """
    return {
        "message_id": [(message_id, world.no_message_id) for message_id in world.message_ids],
        "msisdn": [(THEIRS, NOBODYS), (THEIRS_TOO, NOBODYS)],
        "phone": [(THEIRS, NOBODYS), (THEIRS_TOO, NOBODYS)],
        "delivery_id": [(world.delivery_id, world.no_delivery_id)],
        "run_id": [(world.run_id, world.no_run_id)],
        "rule_id": [(world.rule_id, world.no_rule_id)],
        "key_id": [(str(key_id), "999999") for key_id in world.key_ids],
        "session_id": [("1", "999999")],
        # `test_twilio_auth.py` and `test_twilio_messages.py` have the same with the credentials of that API.
        "account_sid": [(f"AC{1:032x}", f"AC{999_999:032x}")],
        "sid": [
            (f"SM{id_.replace('-', '')}", f"SM{world.no_message_id.replace('-', '')}") for id_ in world.message_ids
        ],
        "media_sid": [("ME" + "1" * 32, "ME" + "2" * 32)],
        "filename": [("inbox.css", "inbox.css")],
        "_path": [("nothing", "nothing")],
        "path": [("nothing", "nothing")],
        "name": [("nothing", "nothing")],
    }


def list_queries(world: World) -> list[tuple[dict, dict]]:
    """Return pairs of queries: with an existing value of the account, and with a value that does not exist."""
    theirs, none = world.message_ids, world.no_message_id
    pairs = [({}, {})]
    for name in ("after", "before"):
        pairs += [({name: message_id}, {name: none}) for message_id in theirs]
    for name in ("to", "origin", "phone", "q"):
        pairs += [({name: THEIRS}, {name: NOBODYS}), ({name: THEIRS_TOO}, {name: NOBODYS})]
    pairs += [({"q": SECRET}, {"q": "what nobody knows at all..."}), ({"origin": THEIR_OWN}, {"origin": NOBODYS})]
    pairs += [({"message": message_id}, {"message": none}) for message_id in theirs]
    pairs += [({"phone": THEIRS, "since": str(n)}, {"phone": NOBODYS, "since": str(n)}) for n in (1, 3, 99)]
    pairs += [({"phone": THEIRS, "message": theirs[0]}, {"phone": NOBODYS, "message": none})]
    same = [
        {"state": "error"}, {"state": "sent"}, {"state": "unconfirmed"}, {"direction": "inbound"}, {"limit": "1000"},
        {"offset": "1"}, {"below": "3"}, {"below": "99"}, {"before": "3"}, {"shown": "400"}, {"wait": "0.01"},
    ]  # fmt: skip
    return pairs + [(query, query) for query in same]


def list_forms() -> list[tuple[dict, dict]]:
    """Return pairs of forms: with an existing value of the account, and with a value that does not exist."""
    pairs = [({}, {})]
    for theirs, none in ((THEIRS, NOBODYS), (THEIRS_TOO, NOBODYS), (THEIR_OWN, NOBODYS)):
        for sides in (("to",), ("from",), ("origin",), ("to", "origin", "from")):
            sample = {"to": "+14560005555", "from": "+14560005555", "body": "Hello", "url": "http://127.0.0.1:2/"}
            pairs.append(({**sample, **dict.fromkeys(sides, theirs)}, {**sample, **dict.fromkeys(sides, none)}))
    for more in ({"as": "handset"}, {"as": "app"}, {"send_at": "2026-03-01T00:00:00Z"}, {"subscribed": "yes"}):
        sample = {"body": "Hello", **more}
        pairs.append(({"to": THEIRS, "from": THEIRS, **sample}, {"to": NOBODYS, "from": NOBODYS, **sample}))
    return pairs


def list_addresses(rule: Rule, world: World) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield pairs of addresses of a rule, with existing values and with values that do not exist.

    Also yields these values.
    """
    values = list_values(world)
    unknown = set(rule.arguments) - set(values)
    assert not unknown, f"{rule.rule}: this test does not know what {unknown} may be of another account"
    names = sorted(rule.arguments)
    for chosen in itertools.product(*(values[name] for name in names)):
        pair = []
        for side in (0, 1):
            address = rule.rule
            for name, value in zip(names, chosen, strict=True):
                address = re.sub(rf"<(?:\w+:)?{name}>", value[side].replace("+", "%2B"), address)
            pair.append(address)
        yield *pair, [value[0] for value in chosen], [value[1] for value in chosen]


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "DESTROY")


def list_requests(app, world: World) -> Iterator[tuple[str, list[tuple[str, list[str], dict]]]]:
    """Yield each method with two requests. A request is an address, the values in it, and arguments."""
    for rule in app.url_map.iter_rules():
        for method in METHODS:
            if method in rule.methods:
                given = list_queries(world) if method == "GET" else list_forms()
                if rule.arguments:  # these are the important ones
                    given = [given[0], *given[-3:]]
                for (theirs, none, their_values, no_values), arguments in itertools.product(
                    list_addresses(rule, world), given
                ):
                    yield method, [(theirs, their_values, arguments[0]), (none, no_values, arguments[1])]


@pytest.mark.slow
def test_on_every_route_what_another_account_has_looks_like_what_nobody_has(app, world):
    before, count = world.dump(), 0
    readers = [world.make_stranger(), world.make_stranger()]
    for method, requests in list_requests(app, world):
        strangers = readers if method == "GET" else [world.make_stranger(), world.make_stranger()]
        answers = []
        for (client, names), (address, values, arguments) in zip(strangers, requests, strict=True):
            asked_for = list(filter(has_meaning, [*values, *arguments.values()]))
            option = {"query_string" if method == "GET" else "data": arguments}
            answers.append(answer_of(client, names, method, address, asked_for, **option))
        assert answers[0] == answers[1], f"{method} {requests}"
        assert SECRET not in answers[0][2], f"{method} {requests}"
        assert THEIR_NUMBER not in answers[0][2], f"{method} {requests}"
        count += 1
    assert count > 500
    assert world.dump() == before


def has_meaning(value: str) -> bool:
    """Return whether a value must be masked: a number, an id or a text in which the two requests differ."""
    return value in (THEIRS, THEIRS_TOO, THEIR_OWN, NOBODYS, SECRET, "what nobody knows at all...") or len(value) > 30


@pytest.mark.parametrize("path", ["/v1/messages/{}", "/inbox/messages/{}"])
def test_what_another_account_has_is_404(world, path, client):
    sign_in(client, client.key)
    assert {client.get(path.format(message_id)).status_code for message_id in world.message_ids} == {200}
    for message_id in world.message_ids:
        client, _ = world.make_stranger()
        assert client.get(path.format(message_id)).status_code == 404
        assert (
            client.post(f"/inbox/messages/{message_id}/cancel", headers={"Origin": "http://localhost"}).status_code
            == 404
        )
        if path.startswith("/v1"):
            assert client.put(path.format(message_id), json={"body": "Other"}).status_code == 404
            assert client.delete(path.format(message_id)).status_code == 404


def test_lists_of_a_stranger_are_empty_whatever_is_asked_for(world):
    client, _ = world.make_stranger()
    for query, _ in list_queries(world):
        if set(query) <= {"after", "before", "to", "origin", "phone", "q", "state", "direction", "limit", "offset"}:
            response = client.get("/v1/messages", query_string=query)
            assert response.get_json() == {"messages": []} or response.status_code == 400
    assert client.get("/v1/phones").get_json() == {"phones": []}
    assert client.get("/v1/subscriptions").get_json() == {"subscriptions": []}


def test_an_opt_out_from_another_account_holds_nothing_back(world):
    client, _ = world.make_stranger()
    assert client.get(f"/v1/phones/{THEIRS}").get_json()["phone"]["subscribed"] is True
    assert client.get(f"/v1/subscriptions/{THEIRS}").get_json()["subscription"]["changed_at"] is None
    assert client.post("/v1/messages", json={"to": THEIRS, "body": "Hello"}).status_code == 201


def test_a_stranger_s_opt_out_holds_nothing_of_the_account_back(world, client):
    stranger, _ = world.make_stranger()
    stranger.post(f"/v1/subscriptions/{THEIRS_TOO}/unsubscribe")
    assert client.post("/v1/messages", json={"to": THEIRS_TOO, "body": "Hello"}).status_code == 201
    stranger.post("/sandbox/inbound", json={"from": THEIRS, "to": THEIR_OWN, "body": "START"})
    assert client.post("/v1/messages", json={"to": THEIRS, "body": "Hello"}).status_code == 402


@pytest.mark.parametrize("arguments", [{"to": THEIRS_TOO, "body": SECRET}, {"to": NOBODYS, "body": "Hello"}])
def test_an_idempotency_key_of_another_account_is_as_good_as_new(world, arguments):
    client, _ = world.make_stranger()
    responses = [
        client.post("/v1/messages", json=arguments, headers={"Idempotency-Key": key}) for key in ("theirs", "nobodys")
    ]
    assert [response.status_code for response in responses] == [201, 201]
    assert not any("Idempotent-Replayed" in response.headers for response in responses)
    assert len(client.get("/v1/messages").get_json()["messages"]) == 2


def test_who_waits_is_not_woken_by_what_another_account_sends_or_gets(world):
    client, _ = world.make_stranger()
    found = []

    def wait() -> None:
        begun = time.monotonic()
        response = client.get("/v1/messages?wait=0.5")
        found.append((response.get_json(), time.monotonic() - begun))

    thread = threading.Thread(target=wait)
    thread.start()
    sender = world.app.test_client()
    while thread.is_alive():
        assert sender.post("/v1/messages", json={"to": NOBODYS, "body": SECRET}).status_code == 201
        time.sleep(0.05)
    thread.join()
    assert found[0][0] == {"messages": []}
    assert found[0][1] >= 0.5


def test_a_webhook_hears_only_of_its_own_account(world):
    client, _ = world.make_stranger()
    before = [delivery["id"] for delivery in world.operator.list_deliveries()]
    client.post("/v1/messages", json={"to": THEIRS, "body": "Hello"})
    client.post("/v1/messages", json={"to": "+15005550001", "body": "Hello"})
    client.post("/sandbox/inbound", json={"from": THEIRS, "to": THEIR_OWN, "body": "STOP"})
    after = [delivery["id"] for delivery in world.operator.list_deliveries()]
    assert after == before


def test_neither_quota_nor_rate_is_taken_from_another(world, client):
    world.operator.set_limits(quota=5, rate=5)
    stranger, _ = world.make_stranger()
    for _ in range(7):
        response = stranger.post("/v1/messages", json={"to": THEIRS, "body": "Hello"})
        assert (response.status_code, "RateLimit" in response.headers) == (201, False)
    assert world.operator.count_quota_used() == 0
    assert client.get("/v1/messages").headers["RateLimit"] == '"default";r=4;t=60'


def test_a_key_of_another_account_is_not_revoked(world):
    client, _ = world.make_stranger()
    for key_id in world.key_ids:
        response = client.post(f"/inbox/settings/keys/{key_id}/revoke", headers={"Origin": "http://localhost"})
        assert response.status_code == 404
    keys = world.operator.show("keys", "list", "--account", "default")
    assert [key["revoked_at"] for key in keys] == [None]
