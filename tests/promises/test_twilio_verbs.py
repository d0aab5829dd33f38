"""The Twilio-compatible API: redirects, replies that can't be sent, unknown verbs, and repetitions of answers."""

import re
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from tests.support.receivers import Received, status
from tests.support.twilio import OWN, PHONE, read_form

XML = "Content-Type: text/xml"
WRITTEN = {"from": PHONE, "to": OWN, "body": "Hi"}


@pytest.fixture
def ask(client, post_due, operator, receiver):
    """Return a function that lets a phone write, and the app answer its requests one after another."""
    operator.run("twilio", "set-inbound", f"{receiver.url}?x=1")

    def ask(*bodies: str, sender: str = PHONE, fallback: str | None = None, content_type: str = XML) -> list[str]:
        """Return the lines of the requests; the last document answers all further ones."""
        answers = list(bodies)
        if fallback is not None:
            operator.run("twilio", "set-inbound", f"{receiver.url}?x=1", "--fallback-url", fallback)

        def act(client: object, received: Received) -> None:
            body = answers.pop(0) if len(answers) > 1 else answers[0]
            status(200, content_type, body=f"<Response>{body}</Response>")(client, received)

        receiver.act = act
        before = len(receiver.received)
        assert client.post("/sandbox/inbound", json={**WRITTEN, "from": sender}).status_code == 201
        while post_due():
            pass
        return [one.line for one in receiver.received[before:]]

    return ask


@pytest.fixture
def replies(twilio) -> Callable[[], list[str]]:
    """Return a function that returns the texts of the replies, the oldest first."""
    return lambda: [one["body"] for one in reversed(twilio.list()["messages"]) if one["direction"] == "outbound-reply"]


@pytest.fixture
def warning(operator):
    """Return a function that returns what the last attempt shows, after a look at its state."""

    def read(state: str = "delivered", at: int = -1) -> str:
        delivery = operator.list_deliveries()[at]
        assert delivery["state"] == state
        return str(delivery["tries"][-1]["error"])

    return read


# Redirects


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/next?b=2", "POST /next?b=2 HTTP/1.1"),
        ("next", "POST /next HTTP/1.1"),
        ("?b=2", "POST /hook?b=2 HTTP/1.1"),
        ("http://127.0.0.1:{port}/other", "POST /other HTTP/1.1"),
    ],
)
def test_a_redirect_fetches_another_document_and_what_follows_it_is_ignored(ask, replies, receiver, target, line):
    redirect = f"<Redirect>{target.format(port=receiver.port)}</Redirect>"
    first = f"<Message>before</Message>{redirect}<Message>after</Message>"
    assert ask(first, "<Message>from there</Message>") == ["POST /hook?x=1 HTTP/1.1", line]
    assert replies() == ["before", "from there"]
    assert read_form(receiver.received[0]) == read_form(receiver.received[1])
    tokens = {one.headers["i-twilio-idempotency-token"] for one in receiver.received}
    assert len(tokens) == 2


def test_a_redirect_may_be_with_get(ask, replies):
    _, line = ask('<Redirect method="GET">/next?b=2</Redirect>', "<Message>there</Message>")
    assert line.startswith("GET /next?b=2&MessageSid=SM")
    assert replies() == ["there"]


def test_redirects_are_relative_to_the_document_that_has_them(ask):
    lines = ask("<Redirect>/a/b</Redirect>", "<Redirect>c</Redirect>", "")
    assert lines[1:] == ["POST /a/b HTTP/1.1", "POST /a/c HTTP/1.1"]


def test_a_loop_of_redirects_ends_after_ten(ask, replies, warning):
    lines = ask("<Message>again</Message><Redirect>/hook</Redirect>")
    assert len(lines) == 11
    assert replies() == ["again"] * 10
    assert warning("failed") == "11200: there were more than 10 redirects"


def test_one_document_sends_ten_messages_at_most(ask, replies, warning):
    ask("<Message>x</Message>" * 12)
    assert replies() == ["x"] * 10
    assert warning() == "14100: only the first 10 messages are sent"


def test_many_warnings_are_counted(ask, warning):
    ask("".join(f"<Verb{number}/>" for number in range(2_000)))
    assert warning().endswith("12200: the verb <Verb4> is unknown; and 1995 more warnings")


def test_what_an_app_answers_makes_no_line_of_its_own_in_the_log(ask, warning, caplog):
    ask("", content_type="Content-Type: text/a\x1b[31mb\r\n forged: line")
    assert "\x1b" not in caplog.text
    assert "\n forged" not in caplog.text
    assert "\\x1b[31mb" in warning("failed")


@pytest.mark.parametrize(
    "redirect",
    [
        "<Redirect>ftp://example.com/</Redirect>",
        "<Redirect>http://user:secret@example.com/</Redirect>",
        "<Redirect>http://169.254.169.254/</Redirect>",
        "<Redirect>http://[</Redirect>",
        '<Redirect method="PUT">/next</Redirect>',
    ],
)
def test_a_redirect_to_what_can_not_be_fetched_makes_the_document_unusable(
    ask, replies, warning, make_receiver, redirect
):
    fallback = make_receiver(status(204))
    assert len(ask(f"<Message>before</Message>{redirect}", fallback=fallback.url)) == 1
    assert replies() == []
    assert re.fullmatch("11200: .* can't be fetched", warning("failed", at=0))
    assert read_form(fallback.received[0])["ErrorCode"] == "11200"


def test_a_document_behind_a_redirect_that_fails_goes_to_the_fallback_url(
    client, operator, receiver, make_receiver, post_due, replies
):
    fallback = make_receiver(status(200, XML, body="<Response><Message>Sorry</Message></Response>"))
    operator.run("twilio", "set-inbound", receiver.url, "--fallback-url", fallback.url)

    def act(client: object, received: Received) -> None:
        missing = received.line.startswith("POST /missing")
        body = "<Response><Message>before</Message><Redirect>/missing</Redirect></Response>"
        status(404 if missing else 200, XML, body=body)(client, received)

    receiver.act = act
    client.post("/sandbox/inbound", json=WRITTEN)
    while post_due():
        pass
    assert read_form(fallback.received[0])["ErrorUrl"] == f"http://127.0.0.1:{receiver.port}/missing"
    assert replies() == ["before", "Sorry"]


# Replies that can't be sent


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('<Message to="nobody">Hi</Message>', "21211: the number in `to` or `from` of <Message> is not valid"),
        ('<Message from="+1">Hi</Message>', "21211: the number in `to` or `from` of <Message> is not valid"),
        (f'<Message to="{OWN}">Hi</Message>', "21266: `to` and `from` of <Message> are the same"),
        ("<Message/>", "14103: <Message> has no text and no media"),
        ("<Message><Body> </Body><Media/></Message>", "14103: <Message> has no text and no media"),
        (f"<Message>{'a' * 1_601}</Message>", "21617: the text of <Message> is longer than 1,600 characters"),
        ('<Message action="ftp://example.com/">Hi</Message>', "21609: ftp://example.com/ can't be posted to"),
        ('<Message statusCallback="http://[">Hi</Message>', "21609: http://[ can't be posted to"),
        ("<Message>Hi<Media>cat.png</Media></Message>", "21620: the media URL cat.png is not valid"),
        ("<Message>Hi<Media>http://[</Media></Message>", "21620: the media URL http://[ is not valid"),
        (f"<Message>{'<Media>http://a.test/</Media>' * 11}</Message>", "21623: <Message> has more than 10 media URLs"),
    ],
)
def test_a_reply_that_can_not_be_sent_is_a_warning_and_the_others_are_sent(ask, replies, warning, message, shown):
    ask(f"<Message>one</Message>{message}<Message>two</Message>")
    assert replies() == ["one", "two"]
    assert warning() == shown


def test_a_reply_of_1600_characters_is_sent(ask, replies):
    ask(f"<Message>{'ж' * 1_600}</Message>")
    assert replies() == ["ж" * 1_600]


def test_a_sender_that_is_a_name_gets_no_reply(ask, replies, warning):
    ask("<Message>Hello</Message>", sender="ACME")
    assert replies() == []
    assert warning() == "21211: the number in `to` or `from` of <Message> is not valid"


def test_a_phone_that_has_opted_out_gets_no_reply_but_there_is_a_message_that_failed(
    ask, client, twilio, deliver, receiver
):
    client.post("/sandbox/inbound", json={**WRITTEN, "body": "STOP"})
    lines = ask('<Message action="/told">Hello</Message>')
    assert lines.count("POST /told HTTP/1.1") >= 1
    reply = twilio.list()["messages"][0]
    assert (reply["direction"], reply["status"], reply["error_code"]) == ("outbound-reply", "failed", 21610)
    told = [read_form(one) for one in receiver.received if one.line.startswith("POST /told")]
    assert {(one["MessageStatus"], one["ErrorCode"]) for one in told} == {("failed", "21610")}
    assert deliver() == 0


def test_replies_count_for_the_quota(ask, twilio, operator):
    operator.set_limits(quota=1)
    ask("<Message>one</Message><Message>two</Message>")
    second, first = twilio.list()["messages"][:2]
    assert (first["status"], second["status"], second["error_code"]) == ("queued", "failed", 30001)


# Unknown verbs


def test_an_unknown_verb_is_ignored_with_a_warning(ask, replies, warning, client, app):
    ask("<Say>Hello</Say><Message>one</Message><Gather><Message>no</Message></Gather>")
    assert replies() == ["one"]
    assert warning() == "12200: the verb <Say> is unknown; 12200: the verb <Gather> is unknown"


def test_the_names_of_verbs_are_exact(ask, replies, warning):
    ask("<message>Hello</message>")
    assert replies() == []
    assert warning() == "12200: the verb <message> is unknown"


# Repetitions


def test_replies_are_sent_once_even_if_the_answer_is_recorded_twice(client, services, operator, receiver, replies):
    """Two processes have posted the same message, because the lease of the first one had ended."""
    operator.run("twilio", "set-inbound", receiver.url)
    receiver.act = status(200, XML, body="<Response><Message>once</Message></Response>")
    client.post("/sandbox/inbound", json=WRITTEN)
    first, second = services.make_webhook_loop(), services.make_webhook_loop()
    claimed = []
    for loop in (first, second):
        outcomes: SimpleQueue[Any] = SimpleQueue()
        delivery = loop._delivery
        with services.database.write() as connection:
            connection.execute("UPDATE webhook_deliveries SET due_at = created_at")
            jobs = delivery.claim(connection, "one")
        delivery.deliver(jobs, outcomes.put)
        claimed.append((delivery, outcomes))
    assert len(receiver.wait_for(2)) == 2
    for delivery, outcomes in claimed:
        outcome = outcomes.get(timeout=20)
        with services.database.write() as connection:
            delivery.record(connection, [outcome])
    assert replies() == ["once"]


def test_replies_and_outcome_are_stored_together(client, services, operator, receiver, replies, post_due, execute):
    """If the answer can't be recorded completely, nothing is sent. If it is posted again, each reply is sent once."""
    operator.run("twilio", "set-inbound", receiver.url)
    receiver.act = status(200, XML, body="<Response><Message>one</Message><Message>two</Message></Response>")
    client.post("/sandbox/inbound", json=WRITTEN)
    execute(
        "CREATE TRIGGER full BEFORE INSERT ON messages WHEN new.body = 'two' BEGIN SELECT raise(ABORT, 'full'); END"
    )
    operator.set_webhook(receiver.url)
    delivery_id = operator.send_test()
    post_due()
    assert replies() == []
    states = {one["id"]: one["state"] for one in operator.list_deliveries()}
    assert sorted(states.values()) == ["delivered", "failed"]
    assert states[delivery_id] == "delivered"  # a fault of one delivery does not stop the others
    execute("DROP TRIGGER full")
    (failed,) = (id_ for id_, state in states.items() if state == "failed")
    operator.run("webhooks", "redeliver", failed)
    post_due()
    assert replies() == ["one", "two"]
