"""The live list of messages: what is a line of it, and how a line looks."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from phonify.delivery.live_list import LiveList, has_colour, write_line
from phonify.domain.news import News
from phonify.services import Services
from tests.storage.rows import FAILED, INBOUND, SENT
from tests.support.terminal import on_terminal

PHONE, OWN = "+14560000000", "+15005550006"


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def news(services: Services) -> News:
    return News(services.database)


@pytest.fixture
def read(news: News) -> Callable[[], list[tuple[str, str, int]]]:
    """Return a function that returns body, state and attempts of the messages with news."""
    return lambda: [(message.body, message.state, message.attempts) for message in news.read()]


# News


def test_a_sent_message_is_news_once_when_it_is_sent(read, send, deliver):
    send(body="Hello")
    assert read() == []
    deliver()
    assert read() == [("Hello", "sent", 1)]
    assert read() == []


def test_a_received_message_is_news_at_once(read, client: FlaskClient):
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hi"})
    assert read() == [("Hi", "sent", 0)]
    assert read() == []


def test_each_outcome_of_a_message_that_fails_twice_is_news(read, send, deliver, clock):
    send("+15005550010", "Hello")
    for attempt in (1, 2):
        deliver()
        assert read() == [("Hello", "unconfirmed", attempt)]
        assert read() == []
        clock.advance(10)
    deliver()
    assert read() == [("Hello", "sent", 3)]


def test_a_message_in_doubt_is_news_and_so_is_its_end(read, send, deliver, clock):
    send("+15005550012", "Hello")
    deliver()
    assert read() == [("Hello", "unconfirmed", 1)]
    clock.advance(86_400)
    deliver()
    assert read() == [("Hello", "error", 1)]


def test_a_scheduled_message_is_news_when_it_is_stored_and_when_it_is_sent(read, send, deliver, clock):
    send(body="Hello", send_at="2026-02-01T09:30:00Z")
    assert read() == [("Hello", "unconfirmed", 0)]
    assert read() == []
    clock.advance(86_400)
    deliver()
    assert read() == [("Hello", "sent", 1)]


def test_refused_messages_are_news_and_removed_ones_are_not(read, send, client: FlaskClient):
    send("+15005550001", "Refused")
    send(PHONE, "Removed")
    assert read() == [("Refused", "error", 0)]
    client.delete("/sandbox/messages")
    assert read() == []


def test_what_was_there_before_is_no_news(send, deliver, services: Services):
    send()
    deliver()
    assert News(services.database).read() == []


# Lines


def line(message: Any, *, columns: int = 80, colour: bool = False) -> str:
    return write_line(message, columns=columns, colour=colour).rstrip()


def test_a_line_has_direction_number_text_and_outcome():
    assert line(SENT) == "to   +14560000000      Hello                                sent"
    assert line(INBOUND) == "from +14560000000      Hello                                received"
    assert line(FAILED) == "to   +14560000000      Hello                                error: cannot_receive_sms"


def test_outcomes_that_are_not_final_are_told():
    waiting = SENT._replace(state="unconfirmed", finished_at=None)
    assert line(waiting._replace(attempts=0, send_at="T")).endswith("scheduled for T")
    assert line(waiting._replace(due_at="T")).endswith("tried again at T")
    assert line(waiting._replace(due_at=waiting.expires_at)).endswith("in doubt: the message is not sent again")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 17 + "..."),
        ("two\nlines\t\x1b[31mred", "two lines [31mred   "),
        ("\u202eright to left", "right to left       "),
        ("你好" * 5, "你好" * 5),
        ("你好" * 6, "你好你好你好你好..." + " "),
        ("", " " * 20),
    ],
)
def test_the_beginning_of_a_text_is_on_one_line_in_its_columns(body, shown):
    assert write_line(SENT._replace(body=body), columns=10, colour=False) == f"to   +14560000000      {shown}  sent"


def test_a_line_is_in_colour_where_the_terminal_has_it():
    assert line(SENT, colour=True).endswith("\x1b[32msent\x1b[0m")
    assert line(FAILED, colour=True).endswith("\x1b[31merror: cannot_receive_sms\x1b[0m")
    assert line(INBOUND, colour=True).startswith("\x1b[36mfrom\x1b[0m ")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours_need_a_terminal_that_has_them_and_no_wish_against(environ, expected):
    assert has_colour(Screen(), environ) is expected
    assert not has_colour(io.StringIO(), environ)


def test_the_list_is_only_for_a_terminal_and_the_stub(make_app):
    assert isinstance(make_app().extensions["phonify"].make_live_list(Screen()), LiveList)
    assert make_app().extensions["phonify"].make_live_list(io.StringIO()) is None
    assert make_app(LOG_FORMAT="json").extensions["phonify"].make_live_list(Screen()) is None


# On a terminal


def test_a_server_on_a_terminal_shows_each_message(tmp_path: Path, start):
    with on_terminal(tmp_path, API_KEY="test-key") as terminal:
        terminal.wait_for("Make another key")
        server = start()  # without a terminal; either may deliver
        server.call("POST", "/v1/messages", to=PHONE, body="Your code is 482193")
        server.call("POST", "/sandbox/inbound", **{"from": PHONE, "body": "Thanks"})
        terminal.wait_for(r"to   \+14560000000 +Your code is 482193 +\S*sent")
        terminal.wait_for(r"from\S* \+14560000000 +Thanks +\S*received")
        assert "Your code" not in server.output
        terminal.popen.terminate()
        assert terminal.popen.wait(30) == 0


@pytest.mark.slow
def test_a_worker_on_a_terminal_shows_each_message(tmp_path: Path, start):
    with on_terminal(tmp_path, "-m", "phonify", "worker") as terminal:
        terminal.wait_for("Delivering messages")
        start("-m", "phonify", "send", PHONE, "Hello").popen.wait(30)
        terminal.wait_for(r"to   \+14560000000 +Hello +\S*sent")
        terminal.popen.terminate()
        assert terminal.popen.wait(30) == 0
