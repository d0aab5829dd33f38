"""Tests of the client: waits, codes, links, replies, and the text of a failed wait."""

import gc
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import standardwebhooks

from phonify.testing.client import Phonify, PhonifyError
from phonify.testing.server import Server
from tests.support.app import basic
from tests.support.receivers import status
from tests.support.servers import find_free_port

ALICE, BOB = "+14560000001", "+14560000002"
# The clients as a server sends them.
OTHER = {
    "id": "019c1353-98c0-7000-8000-5c0ffee00001",
    "direction": "outbound",
    "origin": {"number": "+15005550006"},
    "to": ALICE,
    "body": "Welcome",
    "state": "sent",
    "created_at": "2026-01-31T09:30:00.000Z",
}
MESSAGE = {**OTHER, "id": "019c1353-98c0-7000-8000-5c0ffee00002", "body": "Your code is 4821"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server") / "phonify.db") as server:
        yield server


@pytest.fixture
def phonify(server: Server) -> Phonify:
    return server.create_account("test")


def call(phonify: Phonify, path: str, **arguments: Any) -> tuple[int, Any]:
    """Send a request as an app does. If there are arguments, it has a form."""
    data = urllib.parse.urlencode(arguments).encode() if arguments else None
    request = urllib.request.Request(phonify.url + path, data, {"Authorization": basic(phonify.api_key)})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def send(phonify: Phonify) -> Callable[..., int]:
    def send(to: str = ALICE, body: str = "Hello", **arguments: str) -> int:
        return call(phonify, "/v1/messages", to=to, body=body, **arguments)[0]

    return send


def failure_of(wait: Callable[..., Any], **wanted: Any) -> list[str]:
    """Return the lines of a failed wait's error."""
    with pytest.raises(AssertionError) as caught:
        wait(**wanted)
    return str(caught.value).splitlines()


def test_a_message_that_is_sent_later_is_waited_for(phonify, send) -> None:
    sender = threading.Timer(0.1, send, (ALICE, "Welcome"))
    sender.start()
    message = phonify.wait_for(to=ALICE, contains="Welcome")
    sender.join()
    assert (message.to, message.body, message.direction) == (ALICE, "Welcome", "outbound")
    assert message.origin == "+15005550006"
    assert message.errors == []


def test_what_is_there_already_is_returned_oldest_first_and_once(phonify, send) -> None:
    send(body="first")
    send(body="second")
    assert [phonify.wait_for(to=ALICE).body for _ in range(2)] == ["first", "second"]
    assert failure_of(phonify.wait_for, to=ALICE, timeout=0)[2].endswith("'second'> closest, but already returned")


@pytest.mark.parametrize(
    "wanted",
    [
        {"to": BOB},
        {"origin": "Shop"},
        {"contains": "SECOND"},
        {"state": "error"},
        {"to": BOB, "contains": "second", "origin": "Shop"},
    ],
)
def test_a_wait_is_for_a_message_that_matches_in_every_respect(phonify, send, wanted) -> None:
    send(ALICE, "The first")
    send("+15005550001", "The third") if "state" in wanted else send(BOB, "The second", origin="Shop")
    assert phonify.wait_for(**wanted).body == ("The third" if "state" in wanted else "The second")


def test_a_number_may_be_written_as_the_api_takes_it(phonify, send) -> None:
    send("+447700900123")
    assert phonify.wait_for(to="+4407700900123").to == "+447700900123"


def refuse(phonify: Phonify) -> None:
    """Let the Twilio-compatible API refuse a message of the app."""
    _, answer = call(phonify, "/sandbox/twilio")
    sid, token = answer["twilio"]["account_sid"], answer["twilio"]["auth_token"]
    form = urllib.parse.urlencode({"To": "123", "From": "+15005550006", "Body": "Hello"}).encode()
    url = f"{phonify.url}/2010-04-01/Accounts/{sid}/Messages.json"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, form, {"Authorization": basic(sid, token)}))
    caught.value.close()


def test_a_failed_wait_lists_refused_requests_and_failed_webhooks(phonify, send, make_receiver) -> None:
    receiver = make_receiver()
    receiver.act = status(500)
    phonify.set_webhook(receiver.url)
    refuse(phonify)
    send(ALICE, "Welcome")
    receiver.wait_for(1)
    while not (problems := call(phonify, "/sandbox/problems")[1]["problems"])[1:]:
        pass  # the server has not recorded the answer yet
    assert [one["text"] for one in problems] == [
        "refused message to 123: 21211 The 'To' number 123 is not a valid phone number.",
        f"webhook message.sent to {receiver.url}: 500",
    ]
    lines = failure_of(phonify.wait_for, to=BOB, timeout=0)
    assert lines[0].endswith("These messages arrived:")
    assert lines[2:] == ["The server reports problems:", *(f"  {one['text']}" for one in problems)]


def test_a_failed_wait_lists_the_latest_problems_since_the_test_began(make_receiver) -> None:
    old = [{"at": OTHER["created_at"], "seconds_ago": 3_600.0, "text": "old"}]
    new = [{"at": OTHER["created_at"], "seconds_ago": 0.0, "text": f"new {number}"} for number in range(7)]
    phonify = connect_to(make_receiver(status(200, body=json.dumps({"messages": [], "problems": old + new}))))
    _, *lines = failure_of(phonify.wait_for, timeout=0)
    assert lines == ["The server reports problems:", *(f"  new {number}" for number in range(2, 7))]


def test_a_run_has_what_an_app_with_twilios_sdk_needs_and_takes_its_settings(phonify) -> None:
    settings: Any = {"auth_token": "token-of-the-app", "inbound_url": "http://127.0.0.1:9/sms"}
    with phonify.run("sign-up", 60, **settings) as run:
        assert run.auth_token == "token-of-the-app"
        _, answer = call(run, "/sandbox/twilio")
        kept = answer["twilio"]
        assert (kept["account_sid"], kept["inbound_url"]) == (run.account_sid, "http://127.0.0.1:9/sms")
        request = urllib.request.Request(
            f"{run.url}/2010-04-01/Accounts/{run.account_sid}.json",
            headers={"Authorization": basic(run.account_sid, run.auth_token)},
        )
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["sid"] == run.account_sid
    with pytest.raises(TypeError, match=r"run\(\) has no argument 'token'\. Use name, ttl, auth_token, inbound_url, "):
        phonify.run(token="x")


@pytest.mark.parametrize("number", ["14560000001", "Alice in Wonderland", ""])
def test_a_number_that_is_none_is_not_waited_for(phonify, number) -> None:
    with pytest.raises(ValueError, match="is not a valid number"):
        phonify.wait_for(to=number)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"state": "sending"}, "state: The state must be one of these values: unconfirmed, sent, error."),
        ({"direction": "up"}, "direction: The direction must be one of these values: outbound, inbound."),
        ({"origin": "much too long a name"}, "origin: Not a valid sender.* 'much too long a name' is not a valid"),
    ],
)
def test_a_criterion_that_nothing_can_match_is_refused(phonify, wanted, reason) -> None:
    for method in (phonify.messages, phonify.wait_for, phonify.assert_none, phonify.clear):
        with pytest.raises(ValueError, match=reason):
            method(**wanted)


def test_a_criterion_that_does_not_exist_is_refused(phonify) -> None:
    for method in (phonify.messages, phonify.wait_for, phonify.assert_none, phonify.clear):
        with pytest.raises(TypeError, match="number"):
            method(number=ALICE)


def test_a_wrong_name_of_a_criterion_is_told_with_the_function_and_its_right_names(phonify) -> None:
    right = "Use to, origin, contains, state, direction"
    for name, rest in (("messages", "."), ("wait_for", ", timeout."), ("assert_none", ", within."), ("clear", ".")):
        with pytest.raises(TypeError) as caught:
            getattr(phonify, name)(too=ALICE)
        assert str(caught.value) == f"{name}() has no argument 'too'. {right}{rest}"


def test_an_outcome_is_waited_for_where_other_messages_have_it_already(phonify, send) -> None:
    send(ALICE)
    first = phonify.wait_for(to=ALICE, state="sent")
    send("+15005550004")
    send(ALICE, "Hello again")
    assert phonify.wait_for(to=ALICE, state="sent").id != first.id
    assert phonify.wait_for(state="error").to == "+15005550004"


@pytest.mark.parametrize(
    ("number", "error"), [("+15005550001", "invalid_number"), ("+15005550004", "blocked_by_recipient")]
)
def test_a_wait_with_a_state_sees_what_became_of_a_message(phonify, send, number, error) -> None:
    send(number)
    message = phonify.wait_for(to=number, state="error")
    assert message.errors == [error]
    assert repr(message).endswith(f" +15005550006 > {number} error {error} 'Hello'>")


def test_messages_are_delivered(phonify, send) -> None:
    send()
    assert phonify.wait_for(state="sent").to == ALICE


def test_a_message_has_its_receipt(phonify, send) -> None:
    send("+15005550013")
    assert phonify.wait_for(state="sent").receipt == "undelivered"
    send()
    assert phonify.wait_for(to=ALICE, state="sent").receipt is None


def test_messages_are_listed_oldest_first_returned_before_or_not(phonify, send) -> None:
    for to, body in ((ALICE, "1"), (BOB, "2"), (ALICE, "3")):
        send(to, body)
    phonify.wait_for()
    phonify.reply(ALICE, "4")
    assert [message.body for message in phonify.messages()] == ["1", "2", "3"]
    assert [message.body for message in phonify.messages(to=ALICE)] == ["1", "3"]
    assert [message.body for message in phonify.messages(direction="inbound")] == ["4"]
    assert [message.body for message in phonify.messages(direction=None)] == ["1", "2", "3", "4"]


def test_all_messages_are_looked_at_however_many(phonify, send) -> None:
    send(BOB)
    arguments = json.dumps({"to": [ALICE] * 1_000, "body": "Hello"}).encode()
    headers = {"Authorization": basic(phonify.api_key), "Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{phonify.url}/v1/messages", arguments, headers)).close()
    assert len(phonify.messages()) == 1_001
    assert phonify.wait_for(to=BOB).to == BOB


def test_a_code_is_read_out_of_the_message_that_has_one(phonify, send) -> None:
    send(ALICE, "Welcome")
    send(BOB, "Your code is 111111")
    send(ALICE, "Your code is 222222")
    send(ALICE, "Your code is 333333")
    assert [phonify.code(to=ALICE) for _ in range(2)] == ["222222", "333333"]
    assert phonify.code() == "111111"


def test_a_code_that_does_not_come_fails(phonify, send) -> None:
    send(ALICE, "Welcome")
    first, *lines = failure_of(phonify.code, to=ALICE, timeout=0.02)
    wanted = f"message to {ALICE} with a one-time code"
    assert first == f"no outbound {wanted} arrived within 0.02 s. These messages arrived:"
    assert len(lines) == 1
    assert lines[0].endswith("'Welcome'> closest, but without a one-time code")


def test_a_link_is_read_out_of_the_message_that_has_one(phonify, send) -> None:
    send(ALICE, "Welcome")
    send(BOB, "Sign in: https://acme.example/in?t=1.")
    send(ALICE, "Sign in: https://acme.example/in?t=2 or https://acme.example/help")
    assert phonify.link(to=ALICE) == "https://acme.example/in?t=2"
    assert phonify.link() == "https://acme.example/in?t=1"
    assert failure_of(phonify.link, to=ALICE, timeout=0)[1].endswith("'Welcome'> without a link")


def test_a_message_has_its_code_and_its_links(phonify, send) -> None:
    send(ALICE, "Your code is 4821: https://acme.example/4821")
    message = phonify.wait_for()
    assert (message.code, message.links) == ("4821", ["https://acme.example/4821"])


def test_upper_and_lower_case_are_the_same_in_every_alphabet(phonify, send) -> None:
    send(ALICE, "ГРУЗ в пути")
    assert phonify.wait_for(contains="груз", timeout=0).to == ALICE


def test_messages_are_removed(phonify, send) -> None:
    for to, body in ((ALICE, "Your code is 1111"), (ALICE, "Welcome"), (BOB, "Your code is 2222")):
        send(to, body)
    phonify.reply(ALICE, "Hello")
    assert phonify.clear(to=ALICE, contains="CODE") == 1
    assert phonify.clear(direction="inbound") == 1
    assert [message.body for message in phonify.messages(direction=None)] == ["Welcome", "Your code is 2222"]
    assert phonify.clear() == 2
    assert phonify.messages(direction=None) == []
    assert phonify.clear() == 0


def test_a_failing_wait_says_what_did_come_and_what_nearly_matched(phonify, send) -> None:
    send(ALICE, "Welcome")
    send(BOB, "Your code is 4821")
    phonify.wait_for(to=BOB, state="sent")
    phonify.reply(ALICE, "STOP")
    first, *lines = failure_of(phonify.wait_for, to=ALICE, contains="code", timeout=0.05)
    assert first == f"no outbound message to {ALICE} with 'code' arrived within 0.05 s. These messages arrived:"
    assert [line.split(" ", 4)[-1] for line in lines] == [
        f"+15005550006 > {ALICE} sent 'Welcome'> closest, but without 'code'",
        f"+15005550006 > {BOB} sent 'Your code is 4821'> closest, but not to {ALICE}",
        f"{ALICE} > +15005550006 sent 'STOP'> not outbound, not to {ALICE}, without 'code'",
    ]


def test_a_failing_wait_says_that_nothing_came(phonify) -> None:
    (line,) = failure_of(phonify.wait_for, state="sent", direction=None, timeout=0)
    assert line.startswith("no message in state sent arrived within 0 s. No message arrived. Does the app use")


def test_a_wait_ends_where_the_test_has_stopped_the_clock(phonify, monkeypatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    failure_of(phonify.wait_for, to=ALICE, timeout=0.05)


def test_none_is_asserted_of_what_was_not_waited_for(phonify, send) -> None:
    send(ALICE)
    phonify.wait_for(to=ALICE)
    phonify.assert_none(within=0.05)
    send(BOB)
    phonify.assert_none(to=ALICE, within=0)
    first, line = failure_of(phonify.assert_none, to=BOB)
    assert first == f"an unwanted outbound message to {BOB} arrived:"
    assert line.endswith("'Hello'>")


def test_a_message_that_comes_too_late_for_none_is_not_missed(phonify, send) -> None:
    sender = threading.Timer(0.1, send)
    sender.start()
    failure_of(phonify.assert_none, within=5)
    sender.join()


def test_a_phone_replies_to_the_sender_of_a_message(phonify, send) -> None:
    send(ALICE, "Reply YES", origin="+14560000077")
    asked = phonify.wait_for(to=ALICE)
    send(ALICE, "And this is another", origin="+14560000078")
    answer = phonify.reply(asked, "YES")
    assert (answer.origin, answer.to, answer.body, answer.direction) == (ALICE, "+14560000077", "YES", "inbound")
    _, shown = call(phonify, "/v1/messages?direction=inbound")
    assert [message["id"] for message in shown["messages"]] == [answer.id]


def test_a_phone_replies_to_the_last_message_that_it_got(phonify, send) -> None:
    send(ALICE, origin="+14560000077")
    send(ALICE, origin="+14560000078")
    send(BOB)
    assert phonify.reply(ALICE, "YES").to == "+14560000078"
    assert phonify.reply(ALICE, "YES", to="60777").to == "60777"


def test_a_phone_that_got_no_message_writes_to_the_app_all_the_same(phonify) -> None:
    first = phonify.reply(ALICE, "Hello?")
    assert first.to == "+15005550006"
    assert phonify.reply(first, "Anyone?").origin == ALICE


@pytest.mark.parametrize(
    ("body", "to", "reason"),
    [
        ("", None, "body: The text is empty"),
        ("x" * 161, None, "body: The text is too long"),
        ("Hi", "Shop", "to: Not a valid E.164 number"),
    ],
)
def test_a_reply_that_no_phone_can_send_is_refused(phonify, body, to, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        phonify.reply(ALICE, body, to=to)


def test_an_app_hears_of_a_reply_by_its_webhook(phonify, receiver) -> None:
    secret = phonify.set_webhook(receiver.url)
    phonify.reply(ALICE, "STOP")
    message = phonify.wait_for(direction="inbound", state="sent")
    (request,) = receiver.received
    event = standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    assert (event["type"], event["data"]["message"]["id"]) == ("message.received", message.id)


def test_a_webhook_that_can_not_be_posted_to_is_refused(phonify) -> None:
    with pytest.raises(ValueError, match="url: Not a valid webhook URL"):
        phonify.set_webhook("ftp://127.0.0.1/")


def test_accounts_see_nothing_of_each_other(server, phonify, send) -> None:
    other = server.create_account("test")
    send(ALICE)
    assert other.messages() == []
    assert other.api_key != phonify.api_key


def test_runs_see_nothing_of_each_other_and_end_with_their_block(phonify, send) -> None:
    with phonify.run("one") as one, phonify.run(ttl=60) as other:
        call(one, "/v1/messages", to=ALICE, body="Your code is 1111")
        call(other, "/v1/messages", to=ALICE, body="Your code is 2222")
        assert (one.code(to=ALICE), other.code(to=ALICE)) == ("1111", "2222")
        assert [len(account.messages()) for account in (one, other, phonify)] == [1, 1, 0]
    for run in (one, other):
        with pytest.raises(PhonifyError, match="the API key is not valid"):
            run.messages()


def test_a_run_ends_where_its_block_fails_and_may_have_ended_already(phonify) -> None:
    def fail() -> None:
        with phonify.run() as run:
            run.end()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert call(phonify, "/sandbox/runs") == (200, {"runs": []})


@pytest.mark.parametrize(
    ("arguments", "reason"), [({"ttl": 5}, "ttl: "), ({"name": "x" * 101}, "name: "), ({"name": ""}, "name: ")]
)
def test_a_run_with_a_wrong_argument_is_refused(phonify, arguments, reason) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        phonify.run(**arguments)


def test_a_wrong_key_is_refused(phonify) -> None:
    phonify.api_key = "wrong"
    assert call(phonify, "/v1/messages")[0] == 401
    with pytest.raises(PhonifyError, match=f"^the API key is not valid at {phonify.url}$"):
        phonify.wait_for(timeout=0)


def test_a_wait_is_a_request_that_waits(make_receiver) -> None:
    def act(client, request) -> None:
        came = len(receiver.received) > 3
        body = json.dumps({"messages": [MESSAGE, OTHER] if came else [OTHER]})
        status(200, body=body)(client, request)

    receiver = make_receiver(act)
    assert connect_to(receiver).wait_for(to=ALICE, contains="code", timeout=20).id == MESSAGE["id"]
    first, waiting, *_ = [urllib.parse.unquote(request.line.split()[1]) for request in receiver.received]
    assert first == f"/sandbox/messages?direction=outbound&to={ALICE}&limit=1000"
    beginning = f"/sandbox/messages?direction=outbound&to={ALICE}&after={OTHER['id']}&limit=1&wait="
    assert 10 < float(waiting.removeprefix(beginning)) <= 20


def connect_to(receiver) -> Phonify:
    return Phonify.connect(receiver.url.removesuffix("/hook"), "test-key")


def test_a_server_with_all_places_for_waiting_taken_is_asked_again(make_receiver) -> None:
    def act(client, request) -> None:
        code = 429 if "wait=" in request.line else 200
        body = '{"errors": []}' if code == 429 else '{"messages": []}'
        status(code, body=body)(client, request)

    assert failure_of(connect_to(make_receiver(act)).wait_for, timeout=0.05)[0].startswith(
        "no outbound message arrived"
    )


def test_where_no_server_is_the_error_names_the_url() -> None:
    url = f"http://127.0.0.1:{find_free_port()}"
    with pytest.raises(PhonifyError, match=rf"^no valid answer from {url}: is Phonify running there\? \(.*refused"):
        Phonify.connect(url, "test-key").messages()


def test_where_another_server_is_the_error_names_the_url(make_receiver) -> None:
    phonify = connect_to(make_receiver(status(200, body="<html>")))
    with pytest.raises(PhonifyError, match=rf"^no valid answer from {phonify.url}: is Phonify running there\?"):
        phonify.messages()


def test_an_error_of_the_server_is_shown_with_the_request(make_receiver) -> None:
    body = '{"errors": [{"type": "store_unavailable", "title": "Try again."}]}'
    phonify = connect_to(make_receiver(status(503, body=body)))
    with pytest.raises(
        PhonifyError, match=f"^DELETE {phonify.url}/sandbox/messages was answered with 503. Try again.$"
    ):
        phonify.clear()


def test_a_server_that_really_sends_is_told_by_the_error(make_receiver) -> None:
    body = '{"errors": [{"type": "not_found", "title": "There is nothing at this address."}]}'
    with pytest.raises(PhonifyError, match="Only a server with the stub gateway"):
        connect_to(make_receiver(status(404, body=body))).messages()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://"])
def test_what_is_no_url_is_refused(url) -> None:
    with pytest.raises(ValueError, match="is not the URL of a server"):
        Phonify.connect(url, "test-key")


def test_a_server_may_have_a_path_of_its_own(make_receiver) -> None:
    receiver = make_receiver(status(200, body='{"messages": []}'))
    Phonify.connect(f"{receiver.url}/sms/", "test-key").messages()
    assert receiver.received[0].line.startswith("GET /hook/sms/sandbox/messages?")
    assert receiver.received[0].headers["authorization"] == basic("test-key")


def test_the_client_is_one_file_that_needs_only_the_standard_library(server, phonify, send, tmp_path: Path) -> None:
    with urllib.request.urlopen(f"{server.url}/sandbox/phonify_client.py") as response:
        tmp_path.joinpath("phonify_client.py").write_bytes(response.read())
    send(ALICE, "Your code is 482193")
    script = (
        "import sys; from phonify_client import Phonify\n"
        "phonify = Phonify.connect(sys.argv[1], sys.argv[2])\n"
        "print(phonify.code(to='+14560000001'), 'phonify' in sys.modules)\n"
    )
    command = [sys.executable, "-S", "-W", "error", "-c", script, phonify.url, phonify.api_key]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (output.stdout, output.stderr) == ("482193 False\n", "")


def test_settings_of_the_environment_do_not_reach_the_server(monkeypatch, tmp_path: Path) -> None:
    for name in ("DATABASE", "GATEWAY", "PORT", "ORIGIN", "API_KEY"):
        monkeypatch.setenv(f"PHONIFY_{name}", "/nowhere/at all")
    with Server(tmp_path / "phonify.db") as server:
        assert server.create_account("test").reply(ALICE, "Hello").to == "+15005550006"


def test_nothing_is_left_when_the_server_ends(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    with Server(tmp_path / "phonify.db") as server:
        phonify = server.create_account("test")
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda: answers.append(call(phonify, "/v1/messages?wait=30")))
        waiting.start()
        call(phonify, "/v1/messages", to=ALICE, body="Hello")
        begun = time.monotonic()
    waiting.join()
    assert time.monotonic() - begun < 5
    assert len(answers) == 1
    assert set(threading.enumerate()) <= threads
    with pytest.raises(urllib.error.URLError):
        call(phonify, "/v1/messages")
    gc.collect()  # an open connection would now be a ResourceWarning and fail the test


# Rules


def test_a_rule_decides_what_happens_and_the_message_names_it(phonify: Phonify) -> None:
    rule = phonify.add_rule("failed", to="+1456*", error="unreachable_handset", name="off")
    call(phonify, "/v1/messages", to=ALICE, body="Hello")
    message = phonify.wait_for(state="error")
    assert (message.errors, message.rule) == (["unreachable_handset"], "off")
    assert [(one.id, one.seen, one.used) for one in phonify.rules()] == [(rule.id, 1, 1)]
    phonify.delete_rule(rule)
    assert phonify.rules() == []


def test_a_rule_can_be_changed_moved_and_all_can_be_deleted(phonify: Phonify) -> None:
    first, second = phonify.add_rule("sent"), phonify.add_rule("unconfirmed")
    assert phonify.move_rule(second, 1).position == 1
    changed = phonify.change_rule(first, "api_error", status=503, name="down")
    assert (changed.id, changed.outcome, changed.name) == (first.id, "api_error", "down")
    assert [rule.id for rule in phonify.rules()] == [second.id, first.id]
    assert call(phonify, "/v1/messages")[0] == 503
    phonify.clear_rules()
    assert phonify.rules() == []


def test_a_scenario_file_replaces_the_rules(phonify: Phonify, tmp_path: Path) -> None:
    phonify.add_rule("sent")
    file = tmp_path / "scenario.toml"
    file.write_text('[[rules]]\nname = "late"\noutcome = "delayed"\nseconds = 3600\n')
    assert [rule.name for rule in phonify.load_scenario(file)] == ["late"]
    assert [rule.outcome for rule in phonify.rules()] == ["delayed"]


def test_the_errors_of_a_scenario_file_count_the_rules_from_1(phonify: Phonify, tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text('[[rules]]\noutcome = "sent"\n[[rules]]\noutcome = "delayed"\n')
    with pytest.raises(ValueError, match=r"^rule 2: seconds: This argument is missing\. It is required\.$"):
        phonify.load_scenario(file)


def test_a_message_that_waits_gets_an_outcome(phonify: Phonify) -> None:
    phonify.add_rule("delayed", seconds=3_600)
    call(phonify, "/v1/messages", to=ALICE, body="Hello")
    forced = phonify.force(phonify.wait_for(), "failed", error="filtered_by_carrier")
    assert phonify.messages(state="sent") == []
    assert (forced.state, forced.errors) == ("error", ["filtered_by_carrier"])
    assert phonify.messages(state="error") == [forced]


@pytest.mark.parametrize("outcome", ["delivered", "undelivered"])
def test_a_forced_receipt_is_there_when_force_returns(phonify: Phonify, outcome: Literal["delivered"]) -> None:
    phonify.add_rule("unconfirmed")
    call(phonify, "/v1/messages", to=ALICE, body="Hello")
    forced = phonify.force(phonify.wait_for().id, outcome)
    assert (forced.state, forced.receipt) == ("sent", outcome)


def test_force_does_not_wait_for_what_comes_later(phonify: Phonify) -> None:
    phonify.add_rule("delayed", seconds=3_600)
    call(phonify, "/v1/messages", to=ALICE, body="Hello")
    message = phonify.wait_for()
    assert phonify.force(message, "unconfirmed").state == "unconfirmed"
    assert phonify.force(message, "delayed", seconds=3_600).state == "unconfirmed"
    forced = phonify.force(message, "delivered", seconds=3_600)
    assert (forced.state, forced.receipt) == ("sent", None)


def test_force_says_that_the_message_has_no_outcome_in_time(make_receiver) -> None:
    waiting = {**OTHER, "state": "unconfirmed"}
    phonify = connect_to(make_receiver(status(200, body=json.dumps({"message": waiting, "messages": [waiting]}))))
    with pytest.raises(
        AssertionError, match=r"^the message did not become sent within 0.05 s: \[<Message .*'Welcome'>\]"
    ):
        phonify.force(OTHER["id"], "sent", timeout=0.05)


def test_the_phone_replies_by_itself(phonify: Phonify) -> None:
    phonify.add_rule("reply", reply="YES", seconds=0.1)
    call(phonify, "/v1/messages", to=ALICE, body="Do you come?")
    assert phonify.wait_for(direction="inbound").body == "YES"


def test_a_setting_that_does_not_exist_or_is_wrong_is_told(phonify: Phonify) -> None:
    with pytest.raises(ValueError, match="eror: This request has no argument with this name"):
        phonify.add_rule("failed", eror="unreachable_handset")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="error: This argument is missing"):
        phonify.add_rule("failed")
