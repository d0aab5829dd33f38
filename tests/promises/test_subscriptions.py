"""Tests of opt-outs: keywords, their effects and replies, the messages that are not sent, and the end of an opt-out."""

from types import SimpleNamespace
from typing import NamedTuple

import pytest

from phonify.gateways.base import Doubt, Later, Taken
from tests.support.app import KEY, sign_in
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator

PHONE = "+14560000000"
OWN = "+15005550006"


class RecordingGateway(OnceGateway):
    """Takes all messages, or fails as the test says. It records the recipients."""

    sandbox = True

    def __init__(self, *failures):
        super().__init__()
        self.failures = list(failures)
        self.sent = []

    def act(self, message):
        if self.failures and (failure := self.failures.pop(0)) is not None:
            return failure
        self.sent.append((message.to, message.body))
        return Taken()


@pytest.fixture
def gateway():
    return RecordingGateway()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway)


class Subscription(NamedTuple):
    phone: str
    subscribed: bool
    changed_at: str | None
    reason: str | None


class KeywordReplies(NamedTuple):
    stop_keywords: tuple[str, ...] = ()
    stop_reply: str | None = None
    start_reply: str | None = None
    help_reply: str | None = None


class Subscriptions:
    """The subscriptions and keywords of accounts. Uses commands and the API."""

    def __init__(self, app, operator, keys):
        self._app = app
        self._operator = operator
        self._keys = keys

    def _show(self, *arguments):
        return [
            Subscription(one["number"], one["subscribed"], one["changed_at"], one["reason"])
            for one in self._operator.show("subscriptions", *arguments)
        ]

    def get(self, account, phone):
        return self._show("show", phone, "--account", account)[0]

    def find_all(self, account, *, offset, limit):
        return self._show("list", "--offset", str(offset), "--limit", str(limit), "--account", account)

    def change(self, account, phone, *, subscribed, reason):
        """Opt a phone out or in, with the API, a command or the inbox."""
        if reason == "command":
            self._operator.run("subscriptions", "opt-in" if subscribed else "opt-out", phone, "--account", account)
            return
        client = self._app.test_client()
        client.key = self._keys[account]
        if reason == "api":
            assert client.post(f"/v1/subscriptions/{phone}/{'' if subscribed else 'un'}subscribe").status_code == 200
        else:
            sign_in(client, client.key)
            given = {"subscribed": "yes" if subscribed else "no"}
            path = f"/inbox/phones/{phone}/subscription"
            assert client.post(path, data=given, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303

    def get_replies(self, account):
        found = self._operator.show("keywords", "show", "--account", account)[0]
        return KeywordReplies(**{**found, "stop_keywords": tuple(found["stop_keywords"])})

    def set_replies(self, account, replies):
        arguments = [f"--stop-keyword={keyword}" for keyword in replies.stop_keywords or [""]]
        for name, reply in replies._asdict().items():
            if name != "stop_keywords":
                arguments.append(f"--{name.replace('_', '-')}={reply or ''}")
        self._operator.run("keywords", "set", *arguments, "--account", account)


@pytest.fixture
def account():
    return "default"


@pytest.fixture
def keys():
    """The keys of the accounts, by name."""
    return {"default": KEY}


@pytest.fixture
def other(operator, keys):
    """Another account."""
    keys["other"] = operator.make_key("other")
    return "other"


@pytest.fixture
def subscriptions(app, operator, keys):
    return Subscriptions(app, operator, keys)


@pytest.fixture
def text(app, keys):
    """Return a function that sends a text from a phone to an account."""

    def text(body, sender=PHONE, to=OWN, account="default"):
        client = app.test_client()
        client.key = keys[account]
        assert client.post("/sandbox/inbound", json={"from": sender, "to": to, "body": body}).status_code == 201

    return text


@pytest.fixture
def accept(app, keys):
    """Return a function that sends messages from an account. It returns faults and messages."""

    def accept(*to, body="Hello", account="default", **options):
        client = app.test_client()
        client.key = keys[account]
        answer = client.post("/v1/messages", json={"to": list(to or (PHONE,)), "body": body, **options})
        assert answer.status_code in (201, 402)
        shown = answer.get_json()
        return SimpleNamespace(
            faults=[SimpleNamespace(**error) for error in shown.get("errors", [])],
            messages=[read(message) for message in shown["messages"]],
        )

    return accept


def read(message):
    error = message["errors"][0]["type"] if "errors" in message else None
    return SimpleNamespace(id=message["id"], state=message["state"], error_type=error)


@pytest.fixture
def find(client):
    return lambda message_id: read(client.get(f"/v1/messages/{message_id}").get_json()["message"])


def types_of(accepted):
    return [fault.type for fault in accepted.faults]


# Effects


def test_a_phone_is_subscribed_until_it_says_stop(subscriptions, account, text, clock):
    assert subscriptions.get(account, PHONE) == (PHONE, True, None, None)
    text("Hello")
    assert subscriptions.get(account, PHONE).subscribed
    clock.advance(60)
    text("Stop.")
    assert subscriptions.get(account, PHONE) == (PHONE, False, "2026-01-31T09:31:00.000Z", "keyword")


def test_start_opts_in_again(subscriptions, account, text, clock):
    text("STOP")
    clock.advance(60)
    text("start")
    assert subscriptions.get(account, PHONE) == (PHONE, True, "2026-01-31T09:31:00.000Z", "keyword")


def test_stop_twice_leaves_the_time_of_the_first(subscriptions, account, text, clock):
    text("STOP")
    clock.advance(60)
    text("STOP")
    assert subscriptions.get(account, PHONE).changed_at == "2026-01-31T09:30:00.000Z"


def test_start_of_a_phone_that_never_opted_out_leaves_no_trace(subscriptions, account, text):
    text("YES")
    assert subscriptions.get(account, PHONE).changed_at is None


def test_the_text_itself_is_kept_as_any_other(text, client):
    text("STOP")
    (message,) = client.get("/v1/messages").get_json()["messages"]
    assert (message["body"], message["direction"], message["state"]) == ("STOP", "inbound", "sent")


@pytest.mark.parametrize("sender", ["12345", "SHOP"])
def test_stop_from_a_short_code_or_an_alphanumeric_sender_opts_nobody_out(
    text, subscriptions, account, client, sender, accept
):
    subscriptions.set_replies(account, KeywordReplies(stop_reply="Bye", help_reply="Call us"))
    text("STOP", sender=sender)
    text("HELP", sender=sender)
    assert subscriptions.find_all(account, offset=0, limit=10) == []
    assert len(client.get("/v1/messages").get_json()["messages"]) == 2
    assert types_of(accept()) == []


def test_an_opt_out_counts_for_one_account_and_one_phone(text, accept, other):
    text("STOP")
    assert types_of(accept(PHONE, "+14560000001")) == ["opted_out"]
    assert types_of(accept(account=other)) == []


def test_stop_to_any_of_the_numbers_of_an_account_counts(text, accept):
    text("STOP", to="12345")
    assert types_of(accept(origin="SHOP")) == ["opted_out"]


def test_an_opt_out_is_found_by_the_number_as_it_is_stored(client):
    client.post("/v1/subscriptions/+4407700900000/unsubscribe")
    assert client.post("/v1/messages", json={"to": "+447700900000", "body": "Hello"}).status_code == 402


# Refusals


def test_a_message_to_a_phone_that_opted_out_is_kept_in_error(text, accept, gateway, deliver, client):
    text("STOP")
    accepted = accept()
    assert [(fault.type, fault.param) for fault in accepted.faults] == [("opted_out", "to[0]")]
    assert [(message.state, message.error_type) for message in accepted.messages] == [("error", "opted_out")]
    deliver()
    assert gateway.sent == []
    assert client.get(f"/v1/messages/{accepted.messages[0].id}").get_json()["message"]["errors"][0]["type"] == (
        "opted_out"
    )


def test_the_other_recipients_get_theirs(text, accept, gateway, deliver):
    text("STOP")
    accepted = accept("+14560000001", PHONE, "+14560000002", PHONE)
    assert [fault.param for fault in accepted.faults] == ["to[1]", "to[3]"]
    deliver()
    assert [to for to, _ in gateway.sent] == ["+14560000001", "+14560000002"]


def test_after_start_messages_go_out_again(text, accept, gateway, deliver):
    text("STOP")
    text("START")
    assert types_of(accept()) == []
    deliver()
    assert len(gateway.sent) == 1


def test_what_the_gateway_refuses_is_named_first(make_app):
    client = make_app().test_client()
    client.post("/v1/subscriptions/+15005550001/unsubscribe")
    response = client.post("/v1/messages", json={"to": "+15005550001", "body": "Hello"})
    assert [error["type"] for error in response.get_json()["errors"]] == ["invalid_number"]


def test_a_thousand_recipients_of_whom_some_opted_out(client, subscriptions, account):
    numbers = [f"+1456{number:07}" for number in range(1_000)]
    for number in numbers[::100]:
        subscriptions.change(account, number, subscribed=False, reason="api")
    response = client.post("/v1/messages", json={"to": numbers, "body": "Hello"})
    assert response.status_code == 402
    assert [error["param"] for error in response.get_json()["errors"]] == [f"to[{n}]" for n in range(0, 1_000, 100)]
    assert len(response.get_json()["messages"]) == 1_000


def test_an_opt_out_in_another_process_counts_at_once(make_app, account, accept, keys):
    assert types_of(accept()) == []
    app = make_app()
    elsewhere = Subscriptions(app, Operator(app), keys)
    elsewhere.change(account, PHONE, subscribed=False, reason="command")
    assert types_of(accept()) == ["opted_out"]
    elsewhere.change(account, PHONE, subscribed=True, reason="command")
    assert types_of(accept()) == []


def test_a_stop_that_another_process_received_counts_at_once(make_app, gateway, accept):
    assert types_of(accept()) == []
    elsewhere = make_app(gateway=gateway).test_client()
    elsewhere.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "STOP"})
    assert types_of(accept()) == ["opted_out"]


# Waiting messages to a phone that opts out


def test_a_scheduled_message_goes_out_where_the_phone_came_back_in_time(text, accept, gateway, deliver, clock):
    accept(send_at=clock.now().replace(hour=12).isoformat())
    text("STOP")
    text("START")
    clock.advance(3 * 3_600)
    deliver()
    assert gateway.sent == [(PHONE, "Hello")]


def test_a_message_that_nobody_delivered_yet_is_held_back(text, accept, gateway, deliver, clock, find):
    (message,) = accept().messages
    clock.advance(1)
    text("STOP")
    deliver()
    assert gateway.sent == []
    assert find(message.id).error_type == "opted_out"


def test_a_message_that_is_to_be_tried_again_is_held_back(text, accept, gateway, deliver, clock, find):
    gateway.failures = [Later()]
    (message,) = accept().messages
    deliver()
    clock.advance(1)
    text("STOP")
    clock.advance(600)
    deliver()
    assert gateway.sent == []
    assert find(message.id).error_type == "opted_out"


def test_a_message_of_which_nobody_knows_whether_it_was_sent_is_not_said_to_be_held_back(
    text, accept, gateway, deliver, clock, find
):
    gateway.failures = [Doubt()]
    (message,) = accept().messages
    deliver()
    clock.advance(1)
    text("STOP")
    clock.advance(600)
    deliver()
    found = find(message.id)
    assert (found.state, found.error_type) == ("unconfirmed", None)


def test_only_the_phone_that_opted_out_gets_nothing(text, accept, gateway, deliver, clock):
    accept(PHONE, "+14560000001", send_at=clock.now().replace(hour=12).isoformat())
    text("STOP")
    clock.advance(3 * 3_600)
    deliver()
    assert gateway.sent == [("+14560000001", "Hello")]


def test_a_held_back_message_is_told_to_the_webhook(text, accept, deliver, clock, operator):
    operator.set_webhook("http://127.0.0.1:1/")
    accept(send_at=clock.now().replace(hour=12).isoformat())
    text("STOP")
    clock.advance(3 * 3_600)
    deliver()
    events = [delivery["event"] for delivery in operator.list_deliveries()]
    assert sorted(events) == ["message.error", "message.received"]


def test_a_message_may_not_be_turned_to_a_phone_that_opted_out(client, clock, text):
    scheduled = client.post("/v1/messages", json={"to": PHONE, "body": "Hello", "send_at": "2026-01-31T12:00:00Z"})
    path = scheduled.headers["Location"]
    text("STOP", sender="+14560000001")
    refused = client.put(path, json={"to": "+14560000001"})
    assert (refused.status_code, refused.get_json()["errors"][0]["type"]) == (402, "opted_out")
    assert client.get(path).get_json()["message"]["to"] == PHONE
    assert client.put(path, json={"to": "+14560000002"}).status_code == 200


# Replies


REPLIES = KeywordReplies((), "You get no more of us.", "Welcome back.", "Call +1 500 555 0006.")


@pytest.fixture
def with_replies(subscriptions, account):
    subscriptions.set_replies(account, REPLIES)


def replies(client):
    """Return the bodies of the account's sent messages, oldest first."""
    return [m["body"] for m in client.get("/v1/messages?direction=outbound").get_json()["messages"]][::-1]


def test_without_replies_nothing_is_answered(text, client):
    for body in ("STOP", "START", "HELP"):
        text(body)
    assert replies(client) == []


@pytest.mark.usefixtures("with_replies")
def test_each_keyword_is_answered_with_its_reply(text, client):
    for body in ("STOP", "START", "HELP"):
        text(body)
    assert replies(client) == list(REPLIES[1:])


@pytest.mark.usefixtures("with_replies")
def test_a_reply_comes_from_the_number_that_was_written_to(text, client):
    text("HELP", to="12345")
    message = client.get("/v1/messages?direction=outbound").get_json()["messages"][0]
    assert (message["origin"]["number"], message["to"], message["state"]) == ("12345", PHONE, "unconfirmed")


@pytest.mark.usefixtures("with_replies")
def test_the_reply_to_stop_reaches_the_phone_that_has_just_opted_out(text, deliver, gateway):
    text("STOP")
    deliver()
    assert gateway.sent == [(PHONE, REPLIES.stop_reply)]


@pytest.mark.usefixtures("with_replies")
def test_the_reply_to_stop_goes_out_beside_a_scheduled_message_that_is_held_back(text, accept, deliver, gateway, clock):
    accept(send_at=clock.now().isoformat())
    clock.advance(1)
    text("STOP")
    deliver()
    assert gateway.sent == [(PHONE, REPLIES.stop_reply)]


@pytest.mark.usefixtures("with_replies")
def test_the_reply_to_stop_is_tried_again_as_any_message(text, deliver, gateway, clock):
    gateway.failures = [Later()]
    text("STOP")
    deliver()
    clock.advance(10)
    deliver()
    assert gateway.sent == [(PHONE, REPLIES.stop_reply)]


@pytest.mark.usefixtures("with_replies")
def test_only_what_changes_something_is_answered(text, client):
    text("START")
    for _ in range(3):
        text("STOP")
    for _ in range(3):
        text("START")
    assert replies(client) == [REPLIES.stop_reply, REPLIES.start_reply]


@pytest.mark.usefixtures("with_replies")
def test_help_is_answered_each_time_also_to_a_phone_that_opted_out(text, deliver, gateway, clock):
    text("STOP")
    clock.advance(60)
    text("HELP")
    text("help")
    deliver()
    assert [body for _, body in gateway.sent] == [REPLIES.stop_reply, REPLIES.help_reply, REPLIES.help_reply]


@pytest.mark.usefixtures("with_replies")
def test_no_reply_goes_to_the_account_itself(text, client):
    for body in ("HELP", "STOP", "START"):
        text(body, sender=OWN, to=OWN)
    assert replies(client) == []


@pytest.mark.usefixtures("with_replies")
def test_a_phone_that_sends_back_what_it_gets_is_not_answered_again(text, client):
    text("HELP")
    for body in REPLIES[1:]:
        text(body)
    assert replies(client) == [REPLIES.help_reply]


def test_a_reply_that_the_gateway_refuses_is_not_stored(make_app, subscriptions, account):
    client = make_app().test_client()
    subscriptions.set_replies(account, REPLIES)
    client.post("/sandbox/inbound", json={"from": "+15005550001", "to": OWN, "body": "HELP"})
    assert replies(client) == []


@pytest.mark.usefixtures("with_replies")
def test_replies_belong_to_one_account(text, subscriptions, operator, other):
    text("HELP", account=other)
    assert subscriptions.get_replies(other) == KeywordReplies()
    assert [one["direction"] for one in operator.show("messages", "--account", other)] == ["inbound"]


def test_own_keywords_belong_to_one_account(text, subscriptions, account, other):
    subscriptions.set_replies(account, KeywordReplies(("ENOUGH", "NO MORE")))
    text("enough", account=other)
    assert subscriptions.get(other, PHONE).subscribed
    text("No more!")
    assert not subscriptions.get(account, PHONE).subscribed


# Allowed settings


def test_what_is_set_is_there_again(subscriptions, account):
    settings = KeywordReplies(("ENOUGH", "NO MORE"), "Bye", None, "Call us")
    subscriptions.set_replies(account, settings)
    assert subscriptions.get_replies(account) == settings
    subscriptions.set_replies(account, KeywordReplies())
    assert subscriptions.get_replies(account) == KeywordReplies()


# The list


def test_the_list_has_phones_by_their_latest_message_then_others(accept, text, subscriptions, account):
    accept("+14560000001", "+14560000002")
    text("Hello", sender="+14560000003")
    subscriptions.change(account, "+14560000009", subscribed=False, reason="api")
    subscriptions.change(account, "+14560000008", subscribed=False, reason="api")
    subscriptions.change(account, "+14560000001", subscribed=False, reason="inbox")
    found = subscriptions.find_all(account, offset=0, limit=10)
    assert [(one.phone[-1], one.subscribed, one.reason) for one in found] == [
        ("3", True, None), ("2", True, None), ("1", False, "inbox"), ("8", False, "api"), ("9", False, "api"),
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10])
def test_pages_of_the_list_are_the_list(accept, text, subscriptions, account, limit):
    accept("+14560000001", "+14560000002", "+14560000003")
    text("Hello", sender="12345")
    for number in "789":
        subscriptions.change(account, f"+1456000000{number}", subscribed=False, reason="api")
    whole = subscriptions.find_all(account, offset=0, limit=100)
    pages = [subscriptions.find_all(account, offset=offset, limit=limit) for offset in range(0, 8, limit)]
    assert [one for page in pages for one in page] == whole
    assert len(whole) == 6


def test_a_change_that_was_not_needed_is_none(subscriptions, account, clock):
    subscriptions.change(account, PHONE, subscribed=True, reason="command")
    assert subscriptions.get(account, PHONE).changed_at is None
    subscriptions.change(account, PHONE, subscribed=False, reason="api")
    clock.advance(60)
    subscriptions.change(account, PHONE, subscribed=False, reason="command")
    assert subscriptions.get(account, PHONE).reason == "api"


def test_a_message_of_the_same_millisecond_as_a_stop_is_held_back(text, accept, gateway, deliver, find):
    (message,) = accept().messages
    text("STOP")
    deliver()
    assert gateway.sent == []
    assert find(message.id).error_type == "opted_out"
