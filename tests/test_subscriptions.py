"""Opt-outs: the keywords, what they do and what is answered, whom they hold messages back from, and until when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify import accounts, store
from phonify.errors import InvalidRequest
from phonify.gateways.base import Gateway, Unavailable, Unconfirmed
from phonify.keyword_settings import read_keyword_settings
from phonify.messaging import Recipient
from phonify.numbers import parse_msisdn, parse_originator
from phonify.store import Criteria
from phonify.subscription_store import KeywordReplies
from phonify.subscriptions import find_keyword, normalize_keyword

PHONE = "+14560000000"
OWN = "+15005550006"


class RecordingGateway(Gateway):
    """Takes everything, or raises what it was told to, and notes whom it was asked to write to."""

    repeatable = False

    def __init__(self, *failures):
        self.failures = list(failures)
        self.sent = []

    def send(self, message):
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        self.sent.append((message.to, message.body))


@pytest.fixture
def gateway():
    return RecordingGateway()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway)


@pytest.fixture
def account(runtime, clock):
    return accounts.ensure_default_account(runtime.database, clock)


@pytest.fixture
def subscriptions(runtime):
    return runtime.subscriptions


@pytest.fixture
def text(runtime, account):
    """Return a function by which a phone sends a text to the account."""

    def text(body, sender=PHONE, to=OWN, account=account):
        return runtime.messaging.receive(account, sender=parse_originator(sender), to=parse_originator(to), body=body)

    return text


@pytest.fixture
def accept(runtime, account):
    """Return a function by which the account sends."""

    def accept(*to, body="Hello", account=account, **options):
        recipients = [Recipient(parse_msisdn(number), f"to[{index}]") for index, number in enumerate(to or (PHONE,))]
        return runtime.messaging.accept(account, recipients=recipients, body=body, **options)

    return accept


@pytest.fixture
def is_subscribed(subscriptions, account):
    return lambda phone=PHONE: subscriptions.get(account, phone).subscribed


def types_of(accepted):
    return [fault.type for fault in accepted.faults]


# What is a keyword


@pytest.mark.parametrize("word", ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
def test_the_usual_words_opt_out_in_any_case(word):
    assert {find_keyword(word), find_keyword(word.lower()), find_keyword(word.title())} == {"stop"}


@pytest.mark.parametrize("word", ["START", "UNSTOP", "YES"])
def test_the_usual_words_opt_in_in_any_case(word):
    assert {find_keyword(word), find_keyword(word.lower()), find_keyword(word.title())} == {"start"}


@pytest.mark.parametrize("word", ["HELP", "help", "Help?"])
def test_help_asks_for_help(word):
    assert find_keyword(word) == "help"


@pytest.mark.parametrize(
    "text",
    [" stop ", "STOP.", "STOP!!!", '"Stop"', "“Stop”", "¡stop!", "(stop)", "*STOP*", "`stop`", "~stop~", "+stop+",
     "\n\tstop\r\n", "\u00a0stop\u3000", "\ufeffstop", "stop\0", "…stop…", "<stop>", "$stop^", "'stop’"],
)  # fmt: skip
def test_punctuation_and_spaces_around_a_keyword_do_not_matter(text):
    assert find_keyword(text) == "stop"


@pytest.mark.parametrize(
    "text",
    ["", " ", "...", "please stop", "stop it", "STOP STOP", "s.t.o.p", "sto p", "nonstop", "stops", "stop1", "1 stop",
     "don't stop", "yes please", "helper", "stop 🛑", "étop"],
)  # fmt: skip
def test_a_keyword_is_the_whole_text(text):
    assert find_keyword(text) is None


def test_own_words_opt_out_beside_the_usual_ones():
    assert find_keyword("no more!", ["NO MORE"]) == "stop"
    assert find_keyword("stop", ["NO MORE"]) == "stop"
    assert find_keyword("ΤΕΛΟΣ", ["τελος"]) == "stop"
    assert find_keyword("more", ["NO MORE"]) is None


@given(st.text(max_size=160))
def test_any_text_can_be_looked_at_and_normalizing_it_again_changes_nothing(text):
    normalized = normalize_keyword(text)
    assert normalize_keyword(normalized) == normalized
    assert find_keyword(text) in (None, "stop", "start", "help")


# What they do


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


def test_an_opt_out_counts_for_one_account_and_one_phone(runtime, clock, text, accept):
    other = accounts.create_account(runtime.database, clock, name="other")
    text("STOP")
    assert types_of(accept(PHONE, "+14560000001")) == ["opted_out"]
    assert types_of(accept(account=other)) == []


def test_stop_to_any_of_the_numbers_of_an_account_counts(text, accept):
    text("STOP", to="12345")
    assert types_of(accept(origin=parse_originator("SHOP"))) == ["opted_out"]


def test_an_opt_out_is_found_by_the_number_as_it_is_stored(client):
    client.post("/v1/subscriptions/+4407700900000/unsubscribe")
    assert client.post("/v1/messages", json={"to": "+447700900000", "body": "Hello"}).status_code == 402


# What is refused


def test_a_message_to_a_phone_that_opted_out_is_kept_in_error(text, accept, gateway, dispatcher, client):
    text("STOP")
    accepted = accept()
    assert [(fault.type, fault.param) for fault in accepted.faults] == [("opted_out", "to[0]")]
    assert [(message.state, message.error_type) for message in accepted.messages] == [("error", "opted_out")]
    dispatcher.deliver_due()
    assert gateway.sent == []
    assert client.get(f"/v1/messages/{accepted.messages[0].id}").get_json()["message"]["errors"][0]["type"] == (
        "opted_out"
    )


def test_the_other_recipients_get_theirs(text, accept, gateway, dispatcher):
    text("STOP")
    accepted = accept("+14560000001", PHONE, "+14560000002", PHONE)
    assert [fault.param for fault in accepted.faults] == ["to[1]", "to[3]"]
    dispatcher.deliver_due()
    assert [to for to, _ in gateway.sent] == ["+14560000001", "+14560000002"]


def test_after_start_messages_go_out_again(text, accept, gateway, dispatcher):
    text("STOP")
    text("START")
    assert types_of(accept()) == []
    dispatcher.deliver_due()
    assert len(gateway.sent) == 1


def test_what_the_gateway_refuses_is_named_first(make_app, runtime, clock):
    client = make_app().test_client()
    client.post("/v1/subscriptions/+15005550001/unsubscribe")
    response = client.post("/v1/messages", json={"to": "+15005550001", "body": "Hello"})
    assert [error["type"] for error in response.get_json()["errors"]] == ["invalid_number"]


def test_a_thousand_recipients_of_whom_some_opted_out(client, runtime, account):
    numbers = [f"+1456{number:07}" for number in range(1_000)]
    for number in numbers[::100]:
        runtime.subscriptions.change(account, number, subscribed=False, reason="api")
    response = client.post("/v1/messages", json={"to": numbers, "body": "Hello"})
    assert response.status_code == 402
    assert [error["param"] for error in response.get_json()["errors"]] == [f"to[{n}]" for n in range(0, 1_000, 100)]
    assert len(response.get_json()["messages"]) == 1_000


def test_an_opt_out_in_another_process_counts_at_once(make_app, account, accept, gateway):
    assert types_of(accept()) == []
    elsewhere = make_app().extensions["phonify"].subscriptions
    elsewhere.change(account, PHONE, subscribed=False, reason="command")
    assert types_of(accept()) == ["opted_out"]
    elsewhere.change(account, PHONE, subscribed=True, reason="command")
    assert types_of(accept()) == []


def test_a_stop_that_another_process_received_counts_at_once(make_app, account, accept):
    assert types_of(accept()) == []
    elsewhere = make_app().extensions["phonify"].messaging
    elsewhere.receive(account, sender=parse_msisdn(PHONE), to=parse_msisdn(OWN), body="STOP")
    assert types_of(accept()) == ["opted_out"]


# What waits while the phone opts out


def test_a_scheduled_message_to_a_phone_that_opted_out_meanwhile_ends_in_error(
    text, accept, gateway, dispatcher, clock, runtime, account
):
    (message,) = accept(send_at=clock.now().replace(hour=12)).messages
    text("STOP")
    clock.advance(3 * 3_600)
    dispatcher.deliver_due()
    found = runtime.messaging.find(account, message.id)
    assert (found.state, found.error_type, found.attempts, gateway.sent) == ("error", "opted_out", 0, [])


def test_a_scheduled_message_goes_out_where_the_phone_came_back_in_time(text, accept, gateway, dispatcher, clock):
    accept(send_at=clock.now().replace(hour=12))
    text("STOP")
    text("START")
    clock.advance(3 * 3_600)
    dispatcher.deliver_due()
    assert gateway.sent == [(PHONE, "Hello")]


def test_a_message_that_nobody_delivered_yet_is_held_back(text, accept, gateway, dispatcher, clock, runtime, account):
    (message,) = accept().messages
    clock.advance(1)
    text("STOP")
    dispatcher.deliver_due()
    assert gateway.sent == []
    assert runtime.messaging.find(account, message.id).error_type == "opted_out"


def test_a_message_that_is_to_be_tried_again_is_held_back(text, accept, gateway, dispatcher, clock, runtime, account):
    gateway.failures = [Unavailable()]
    (message,) = accept().messages
    dispatcher.deliver_due()
    clock.advance(1)
    text("STOP")
    clock.advance(600)
    dispatcher.deliver_due()
    assert gateway.sent == []
    assert runtime.messaging.find(account, message.id).error_type == "opted_out"


def test_a_message_of_which_nobody_knows_whether_it_was_sent_is_not_said_to_be_held_back(
    text, accept, gateway, dispatcher, clock, runtime, account
):
    gateway.failures = [Unconfirmed()]
    (message,) = accept().messages
    dispatcher.deliver_due()
    clock.advance(1)
    text("STOP")
    clock.advance(600)
    dispatcher.deliver_due()
    found = runtime.messaging.find(account, message.id)
    assert (found.state, found.error_type) == ("unconfirmed", None)


def test_only_the_phone_that_opted_out_gets_nothing(text, accept, gateway, dispatcher, clock):
    accept(PHONE, "+14560000001", send_at=clock.now().replace(hour=12))
    text("STOP")
    clock.advance(3 * 3_600)
    dispatcher.deliver_due()
    assert gateway.sent == [("+14560000001", "Hello")]


def test_a_held_back_message_is_told_to_the_webhook(text, accept, dispatcher, clock, runtime, account, make_app):
    runtime = make_app().extensions["phonify"]
    runtime.webhooks.set_url(account, "http://127.0.0.1:1/")
    accept(send_at=clock.now().replace(hour=12))
    text("STOP")
    clock.advance(3 * 3_600)
    dispatcher.deliver_due()
    events = [delivery.event for delivery in runtime.webhooks.list_deliveries(account, limit=10, before=None)]
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
    """Return bodies of what the account has sent, oldest first."""
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
def test_the_reply_to_stop_reaches_the_phone_that_has_just_opted_out(text, dispatcher, gateway):
    text("STOP")
    dispatcher.deliver_due()
    assert gateway.sent == [(PHONE, REPLIES.stop_reply)]


@pytest.mark.usefixtures("with_replies")
def test_the_reply_to_stop_goes_out_beside_a_scheduled_message_that_is_held_back(
    text, accept, dispatcher, gateway, clock
):
    accept(send_at=clock.now())
    clock.advance(1)
    text("STOP")
    dispatcher.deliver_due()
    assert gateway.sent == [(PHONE, REPLIES.stop_reply)]


@pytest.mark.usefixtures("with_replies")
def test_the_reply_to_stop_is_tried_again_as_any_message(text, dispatcher, gateway, clock):
    gateway.failures = [Unavailable()]
    text("STOP")
    dispatcher.deliver_due()
    clock.advance(10)
    dispatcher.deliver_due()
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
def test_help_is_answered_each_time_also_to_a_phone_that_opted_out(text, dispatcher, gateway, clock):
    text("STOP")
    clock.advance(60)
    text("HELP")
    text("help")
    dispatcher.deliver_due()
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


def test_a_reply_that_the_gateway_refuses_is_not_stored(make_app, account):
    client = make_app().test_client()
    runtime = client.application.extensions["phonify"]
    runtime.subscriptions.set_replies(account, REPLIES)
    client.post("/sandbox/inbound", json={"from": "+15005550001", "to": OWN, "body": "HELP"})
    assert replies(client) == []


@pytest.mark.usefixtures("with_replies")
def test_replies_belong_to_one_account(runtime, clock, text, subscriptions):
    other = accounts.create_account(runtime.database, clock, name="other")
    text("HELP", account=other)
    assert subscriptions.get_replies(other) == KeywordReplies()
    assert [message.direction for message in runtime.messaging.find_all(other, Criteria())] == ["inbound"]


def test_own_keywords_belong_to_one_account(runtime, clock, text, subscriptions, account):
    other = accounts.create_account(runtime.database, clock, name="other")
    subscriptions.set_replies(account, KeywordReplies(("ENOUGH", "NO MORE")))
    text("enough", account=other)
    assert subscriptions.get(other, PHONE).subscribed
    text("No more!")
    assert not subscriptions.get(account, PHONE).subscribed


# What may be set


def test_what_is_set_is_there_again(subscriptions, account):
    settings = KeywordReplies(("ENOUGH", "NO MORE"), "Bye", None, "Call us")
    subscriptions.set_replies(account, settings)
    assert subscriptions.get_replies(account) == settings
    subscriptions.set_replies(account, KeywordReplies())
    assert subscriptions.get_replies(account) == KeywordReplies()


def test_empty_texts_are_none():
    given = {"stop_reply": "", "start_reply": " ", "help_reply": "Call us"}
    assert read_keyword_settings(["", " "], given) == KeywordReplies((), None, None, "Call us")


def test_a_keyword_is_kept_once_and_the_usual_ones_are_left_out():
    assert read_keyword_settings([" Enough ", "ENOUGH!", "stop", "Ende"], {}).stop_keywords == ("ENOUGH!", "Ende")


@pytest.mark.parametrize("keyword", ["START", "yes!", "Help", "...", "a,b", "x" * 41, "two\nlines", "\0"])
def test_what_can_be_no_keyword_of_one_s_own(keyword):
    with pytest.raises(InvalidRequest) as refused:
        read_keyword_settings([keyword], {})
    assert [(fault.type, fault.param) for fault in refused.value.faults] == [("invalid_keyword", "stop_keywords")]


def test_there_may_be_twenty_keywords_and_no_more():
    assert len(read_keyword_settings([f"word {n}" for n in range(20)], {}).stop_keywords) == 20
    with pytest.raises(InvalidRequest):
        read_keyword_settings([f"word {n}" for n in range(21)], {})


@pytest.mark.parametrize(
    ("reply", "type_"),
    [("x" * 161, "text_too_long"), ("a\0b", "invalid_text"), ("\ud800", "invalid_text"), ("Help!", "reply_is_keyword"),
     ("start", "reply_is_keyword"), (" STOP ", "reply_is_keyword")],
)  # fmt: skip
def test_what_can_be_no_reply(reply, type_):
    with pytest.raises(InvalidRequest) as refused:
        read_keyword_settings([], {"help_reply": reply})
    assert [(fault.type, fault.param) for fault in refused.value.faults] == [(type_, "help_reply")]


def test_all_that_is_wrong_is_named_together():
    with pytest.raises(InvalidRequest) as refused:
        read_keyword_settings(["YES"], {"stop_reply": "x" * 161, "start_reply": "STOP"})
    assert [fault.param for fault in refused.value.faults] == ["stop_keywords", "stop_reply", "start_reply"]


def test_a_reply_of_160_characters_may_be_set():
    assert read_keyword_settings([], {"stop_reply": "é" * 160}).stop_reply == "é" * 160


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
    subscriptions.change(account, PHONE, subscribed=True, reason="api")
    assert subscriptions.get(account, PHONE).changed_at is None
    subscriptions.change(account, PHONE, subscribed=False, reason="api")
    clock.advance(60)
    subscriptions.change(account, PHONE, subscribed=False, reason="inbox")
    assert subscriptions.get(account, PHONE).reason == "api"


@pytest.fixture
def opt_out_unheard(runtime, make_app, clock):
    """Opt a phone out of an account, without that this process is told, as where the other one was killed."""
    other = make_app().extensions["phonify"]
    other.subscriptions.announce = lambda: None

    def opt_out(account):
        assert not runtime.subscriptions.has_opt_outs(account)  # remembered from here on
        phone, own = parse_msisdn("+14560000000"), parse_msisdn("+15005550006")
        other.messaging.receive(account, sender=phone, to=own, body="STOP")
        clock.advance(0.01)  # or the ids alone would send the message the long way
        assert not runtime.subscriptions.has_opt_outs(account)

    return opt_out


@pytest.mark.parametrize("others", [0, 100])
def test_a_message_that_was_accepted_behind_a_stop_in_the_queue_is_refused(runtime, account, opt_out_unheard, others):
    """Whether a phone has opted out is looked at once more when the message is stored."""
    phones = ["+14560000000", *(f"+1456000{number:04}" for number in range(1, others + 1))]
    recipients = [Recipient(parse_msisdn(phone), f"to[{index}]") for index, phone in enumerate(phones)]
    opt_out_unheard(account)
    accepted = runtime.messaging.accept(account, recipients=recipients, body="Hello")
    assert [(fault.type, fault.param) for fault in accepted.faults] == [("opted_out", "to[0]")]
    assert [message.state for message in accepted.messages] == ["error", *["unconfirmed"] * others]


def test_those_who_share_a_commit_with_an_account_that_has_opt_outs_are_stored(runtime, account, opt_out_unheard):
    free = runtime.database.write(lambda connection: store.insert_account(connection, name="b", origin=None, now=""))
    number = [Recipient(parse_msisdn("+14560000000"), "to")]
    drafts = [runtime.messaging._draft(one, number, "Hello", None, None, None) for one in (free, account, free)]
    opt_out_unheard(account)
    stored = runtime.database.write(lambda connection: runtime.messaging._store_drafts(connection, drafts))
    assert [one and one.messages[0].account_id for one in stored] == [free.id, None, free.id]
    with runtime.database.reading() as connection:
        assert connection.execute("SELECT account_id FROM messages WHERE direction = 'outbound'").fetchall() == [
            (free.id,),
            (free.id,),
        ]


def test_a_message_of_the_same_millisecond_as_a_stop_is_held_back(text, accept, gateway, dispatcher, runtime, account):
    (message,) = accept().messages
    text("STOP")
    dispatcher.deliver_due()
    assert gateway.sent == []
    assert runtime.messaging.find(account, message.id).error_type == "opted_out"
