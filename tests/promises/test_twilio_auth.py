"""The Twilio-compatible API: who may use it, and when it is there."""

import sqlite3

import pytest

from tests.support.app import KEY, basic, faults_of, sign_in
from tests.support.fake_gateway import OnceGateway
from tests.support.twilio import AC, ACCOUNT, MESSAGES, OWN, PHONE, TOKEN, TwilioApi, read_error

SK = "SK00000000000000000000000000000001"  # of the first key
MEANING = (
    "The user name must be an account SID of this server (AC and 32 digits). The password must be the account's"
    " auth token or an API key. You find the SID and the token on the settings page, or with the command"
    " `phonify twilio show`."
)
REFUSED = (401, 20003, MEANING)


def test_the_account_sid_goes_with_the_auth_token_and_with_each_key_and_a_key_sid_with_its_key(app, twilio, operator):
    second = operator.make_key()
    pairs = [(AC, twilio.fetch_token()), (AC, KEY), (AC, second), (SK, KEY), (f"{SK[:-1]}2", second)]
    for user, password in pairs:
        assert TwilioApi(app, user, password).call("GET", f"{ACCOUNT}.json").get_json()["sid"] == AC


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (AC, ""),
        (AC, "wrong"),
        (AC, "0" * 32),
        (AC, "ümläut 🎉"),
        (AC, f"{KEY} "),
        (AC.lower(), KEY),
        (f"AC{'0' * 32}", KEY),
        (f"AC{'f' * 32}", KEY),
        (f"AC{'7' * 32}", KEY),
        (f"{AC[:-1]}2", KEY),
        (AC[:-1], KEY),
        (f"{SK[:-1]}2", KEY),
        (f"SK{'0' * 32}", KEY),
        (KEY, ""),
        ("", KEY),
        ("default", KEY),
    ],
)
def test_other_credentials_are_refused(app, user, password):
    response = TwilioApi(app, user, password).call("GET", f"{ACCOUNT}.json")
    assert read_error(response) == REFUSED
    assert response.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'


def test_a_key_sid_does_not_go_with_the_auth_token(app, twilio):
    assert read_error(TwilioApi(app, SK, twilio.fetch_token()).call("GET", MESSAGES)) == REFUSED


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer test-key"}, {"Authorization": "Basic"}, {"Authorization": "Basic *"}],
)
def test_without_credentials_in_basic_a_request_is_refused(twilio, headers):
    assert read_error(twilio.call("GET", MESSAGES, headers=headers)) == REFUSED
    assert read_error(twilio.call("POST", MESSAGES, {"To": PHONE}, headers=headers)) == REFUSED


def test_the_argument_api_key_is_not_accepted_here(twilio):
    assert read_error(twilio.call("GET", f"{MESSAGES}?api_key={KEY}", headers={})) == REFUSED
    assert read_error(twilio.call("POST", MESSAGES, {"api_key": KEY, "To": PHONE}, headers={})) == REFUSED


def test_the_auth_token_does_not_open_v1(twilio, client):
    headers = {"Authorization": basic(twilio.fetch_token())}
    assert client.get("/v1/messages", headers=headers).status_code == 401
    headers = {"Authorization": basic(AC, twilio.fetch_token())}
    assert client.get("/v1/messages", headers=headers).status_code == 401


def test_a_revoked_key_is_refused(app, operator):
    key = operator.make_key()
    apis = [TwilioApi(app, AC, key), TwilioApi(app, f"{SK[:-1]}2", key)]
    assert [api.call("GET", MESSAGES).status_code for api in apis] == [200, 200]
    operator.revoke_key(key)
    assert [read_error(api.call("GET", MESSAGES)) for api in apis] == [REFUSED, REFUSED]


def test_after_a_rotation_only_the_new_token_is_valid(app, twilio, operator):
    first = twilio.fetch_token()
    operator.run("twilio", "rotate")
    second = twilio.fetch_token()
    assert first != second
    assert read_error(TwilioApi(app, AC, first).call("GET", MESSAGES)) == REFUSED
    assert TwilioApi(app, AC, second).call("GET", MESSAGES).status_code == 200


def test_the_account_in_the_path_must_be_that_of_the_credentials(app, twilio, operator):
    key = operator.make_key("other")
    other = TwilioApi(app, f"{AC[:-1]}2", key)
    assert other.create()["account_sid"] == other.user
    response = twilio.call("GET", other.messages)
    assert read_error(response) == REFUSED
    assert response.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'
    assert read_error(other.call("GET", MESSAGES)) == REFUSED


@pytest.mark.parametrize("sid", ["AC1", SK, "default", f"AC{'g' * 32}", f"AC{'0' * 32}"])
def test_what_is_no_account_sid_in_the_path_is_not_found(twilio, sid):
    path = f"/2010-04-01/Accounts/{sid}/Messages.json"
    assert read_error(twilio.call("GET", path)) == (404, 20404, f"The requested resource {path} was not found")


def test_messages_of_another_account_are_not_found(app, twilio, operator):
    other = TwilioApi(app, f"{AC[:-1]}2", operator.make_key("other"))
    sid = other.create()["sid"]
    for method, path in [
        ("GET", f"{sid}.json"),
        ("POST", f"{sid}.json"),
        ("DELETE", f"{sid}.json"),
        ("GET", f"{sid}/Media.json"),
        ("GET", f"{sid}/Media/ME{'0' * 32}.json"),
        ("POST", f"{sid}/Feedback.json"),
    ]:
        path = f"{ACCOUNT}/Messages/{path}"
        expected = (404, 20404, f"The requested resource {path} was not found")
        assert read_error(twilio.call(method, path, {"Body": ""} if method == "POST" else None)) == expected
    assert twilio.list()["messages"] == []


def test_each_account_has_a_token_of_its_own(app, twilio, operator):
    other = TwilioApi(app, f"{AC[:-1]}2", operator.make_key("other"))
    (shown,) = operator.show("twilio", "show", "--account", "other")
    assert shown["account_sid"] == other.user
    assert TwilioApi(app, other.user, shown["auth_token"]).list()["messages"] == []
    assert read_error(TwilioApi(app, other.user, twilio.fetch_token()).call("GET", other.messages)) == REFUSED


def test_a_test_run_has_an_account_sid_until_it_ends(app, client, clock):
    run = client.post("/sandbox/runs", json={"ttl": 60}).get_json()["run"]
    with sqlite3.connect(app.extensions["phonify"].settings.database) as connection:
        ((number,),) = connection.execute("SELECT account_id FROM runs").fetchall()
    connection.close()
    assert number < 0
    inside = TwilioApi(app, f"AC{number % 2**128:032x}", run["api_key"])
    sent = inside.create(Body="In the run")
    assert [one["sid"] for one in inside.list()["messages"]] == [sent["sid"]]
    assert TwilioApi(app).list()["messages"] == []
    clock.advance(60)
    assert read_error(inside.call("GET", inside.messages)) == REFUSED


def test_a_request_that_is_under_way_at_the_end_of_a_run_is_refused_in_this_api_s_form(make_app):
    class Ending(OnceGateway):
        sandbox = True

        def check(self, to, origin, body):
            client.delete(f"/sandbox/runs/{run['id']}")

    app = make_app(Ending())
    client = app.test_client()
    run = client.post("/sandbox/runs").get_json()["run"]
    inside = TwilioApi(app, run["twilio"]["account_sid"], run["api_key"])
    response = inside.call("POST", inside.messages, {"To": PHONE, "From": OWN, "Body": "Hello"})
    assert read_error(response) == REFUSED
    assert response.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'


# When it is there


def test_with_a_gateway_that_sends_it_is_there_only_if_it_is_set(make_app):
    response = make_app(OnceGateway()).test_client().get(f"{ACCOUNT}.json")
    assert response.status_code == 404
    assert faults_of(response) == [("not_found", None)]
    app = make_app(OnceGateway(), TWILIO="on")
    assert TwilioApi(app).get(f"{ACCOUNT}.json")["sid"] == AC


def test_it_can_be_switched_off_in_a_sandbox(make_app):
    app = make_app(TWILIO="off")
    assert app.test_client().post(MESSAGES).status_code == 404
    page = app.test_client()
    sign_in(page, KEY)
    assert "Twilio" not in page.get("/inbox/settings").get_data(as_text=True)


def test_test_numbers_have_no_meaning_with_a_gateway_that_sends(make_app):
    api = TwilioApi(make_app(OnceGateway(), TWILIO="on"))
    for number in ("0001", "0002", "0003", "0004", "0009", "0021"):
        assert api.create(To=f"+1500555{number}", From=PHONE)["status"] == "queued"
    for number in ("0001", "0007", "0008"):
        assert api.create(From=f"+1500555{number}")["status"] == "queued"


def test_the_auth_token_of_the_account_default_can_be_set(make_app):
    app = make_app(TWILIO_AUTH_TOKEN=TOKEN)
    assert TwilioApi(app, AC, TOKEN).fetch_token() == TOKEN
    assert TwilioApi(make_app()).fetch_token() == TOKEN  # it stays
