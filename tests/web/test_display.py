"""Tests of texts on a page: pieces of a text, flags, working lines to copy."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phonify.sms.one_time_codes import find_code
from phonify.sms.segments import check_text
from phonify.web import display
from phonify.web.display import Piece, cut_matches, cut_number, cut_text, cut_wide, list_groups, name_state
from tests.storage.test_messages import INBOUND, SENT
from tests.support.app import KEY
from tests.support.servers import Process, starting

NASTY = [
    "Hello",
    'it\'s a "test"',
    "$(touch owned) `touch owned` ; touch owned & | > owned",
    "@/etc/passwd",
    "=x&y=z+%2B #?",
    "-d --data",
    "two\nlines\r\nand a \t tab",
    "back\\slash \\n ! !! $HOME ~ * ?",
    "👩‍👩‍👧 Ünï ж '",
    "'; '' '\"'\"' ",
    " ",
]


def cut(text: str) -> list[Piece]:
    return cut_text(text, find_code(text))


def pieces(text: str) -> list[tuple[str, str]]:
    return [(piece.kind, piece.text) for piece in cut(text)]


def links(text: str) -> list[str]:
    return [piece.text for piece in cut(text) if piece.kind == "link"]


# Pieces of a text


@pytest.mark.parametrize("text", ["", "Hello", "a.b", "http://", "https:/x", "ftp://a.example", "javascript:alert(1)"])
def test_a_text_without_link_and_code_is_one_piece(text):
    assert pieces(text) == ([("text", text)] if text else [])


def test_a_link_is_a_piece_of_its_own():
    assert pieces("See https://example.com/a?b=c#d now") == [
        ("text", "See "),
        ("link", "https://example.com/a?b=c#d"),
        ("text", " now"),
    ]


@pytest.mark.parametrize(
    "after", [".", ",", "!", "?", ":", ";", ")", "]", "}", "'", "’", "”", '"', ">", "...", ").", "!?"]
)
def test_what_ends_a_sentence_is_not_of_its_link(after):
    assert links(f"(See https://example.com/a{after}") == ["https://example.com/a"]


@pytest.mark.parametrize(
    "link", ["http://a.example", "https://a.example/x.y,z", "http://127.0.0.1:80/", "HTTPS://A.EXAMPLE/B"]
)
def test_a_link_may_be_all_there_is(link):
    assert pieces(link) == [("link", link)]


def test_several_links_are_several_pieces():
    assert links("http://a.example, https://b.example\nhttp://c.example") == [
        "http://a.example",
        "https://b.example",
        "http://c.example",
    ]


@pytest.mark.parametrize("text", ["http://a.example/<script>", 'http://a.example/"x', "http://a.example/\tx"])
def test_a_link_ends_where_an_address_does(text):
    assert links(text) in (["http://a.example/"], ["http://a.example"])


def test_a_code_is_a_piece_of_its_own():
    assert pieces("Your code is 424242.") == [("text", "Your code is "), ("code", "424242"), ("text", ".")]


def test_a_code_and_a_link_are_both_found():
    assert pieces("Your code: 4821. See https://a.example/b") == [
        ("text", "Your code: "),
        ("code", "4821"),
        ("text", ". See "),
        ("link", "https://a.example/b"),
    ]


def test_a_code_within_a_link_stays_in_the_link():
    text = "Your code: https://a.example/ #482913"
    bound = "Your code is 482913\n\n@a.example #482913"
    for body in (text, bound, "code https://a.example/482913 code"):
        assert "".join(piece.text for piece in cut(body)) == body
    assert ("code", "482913") not in pieces("code https://a.example/482913 code")


@pytest.mark.parametrize("body", [*NASTY, "https://a.example/?code=482913 code 482913", "code 1234 https://b.example."])
def test_the_pieces_together_are_the_text(body):
    assert "".join(piece.text for piece in cut(body)) == body
    assert "".join(piece.text for piece in cut_matches(body, "a")) == body


# Search words


@pytest.mark.parametrize(
    ("text", "searched", "expected"),
    [
        ("Hello", None, [("text", "Hello")]),
        ("Hello", "", [("text", "Hello")]),
        ("Hello", "x", [("text", "Hello")]),
        ("Hello", "L", [("text", "He"), ("match", "l"), ("match", "l"), ("text", "o")]),
        ("Hello", "hello", [("match", "Hello")]),
        ("aaa", "aa", [("match", "aa"), ("text", "a")]),
        ("1.5 (net)", "(", [("text", "1.5 "), ("match", "("), ("text", "net)")]),
        ("1.5", ".", [("text", "1"), ("match", "."), ("text", "5")]),
        ("a\\b", "\\", [("text", "a"), ("match", "\\"), ("text", "b")]),
        ("", "x", []),
    ],
)
def test_each_place_of_what_was_searched_for_is_a_piece(text, searched, expected):
    assert [(piece.kind, piece.text) for piece in cut_matches(text, searched)] == expected


# Characters that are not in GSM-7


def test_a_segment_is_cut_into_runs_that_gsm7_has_and_has_not():
    text = "Aжж b👩c"
    assert cut_wide(text, check_text(text)) == [(False, "A"), (True, "жж"), (False, " b"), (True, "👩"), (False, "c")]


def test_a_segment_that_gsm7_has_is_one_run():
    assert cut_wide("Hello €", check_text("Hello €")) == [(False, "Hello €")]
    assert cut_wide("", check_text("")) == []


def test_the_runs_of_all_segments_together_are_the_text():
    text = "ж👩 x" * 40
    check = check_text(text)
    assert "".join(run for segment in check.segments for _, run in cut_wide(segment, check)) == text


# States


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"state": "sent"}, "sent"),
        ({"state": "error"}, "error"),
        ({"state": "unconfirmed"}, "unconfirmed"),
        ({"state": "unconfirmed", "send_at": "2026-02-01T09:30:00.000Z"}, "scheduled"),
        ({"state": "unconfirmed", "send_at": "2026-02-01T09:30:00.000Z", "attempts": 1}, "unconfirmed"),
        ({"state": "sent", "send_at": "2026-02-01T09:30:00.000Z", "attempts": 1}, "sent"),
    ],
)
def test_a_message_from_the_app_has_the_state_of_the_api_or_is_scheduled(changes, name):
    assert name_state(SENT._replace(attempts=0)._replace(**changes)) == name


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("sent", "received"),
        ("unconfirmed", "received, webhook unconfirmed"),
        ("error", "received, webhook error"),
    ],
)
def test_a_message_from_a_phone_is_received_and_names_a_webhook_that_has_not_accepted_it(state, name):
    assert name_state(INBOUND._replace(state=state)) == name


# Numbers


@pytest.mark.parametrize(
    ("number", "groups"),
    [
        ("+4915112345678", ["+49", "1511", "2345678"]),
        ("12345", ["12345"]),
        ("7x7 ACME", ["7x7 ACME"]),
        ("+49 is no number", ["+49 is no number"]),
        ("", [""]),
    ],
)
def test_a_number_is_cut_into_groups_and_a_name_is_not(number, groups):
    assert list_groups(number) == groups


@pytest.mark.parametrize(
    ("number", "searched", "shown"),
    [
        ("+4915112345678", ["151"], "+49 [151]1 2345678"),
        ("+4915112345678", ["112"], "+49 15[11] [2]345678"),
        ("+4915112345678", ["no", None], "+49 1511 2345678"),
        ("+4915112345678", ["+4915112345678"], "[+49] [1511] [2345678]"),
        ("7x7 ACME", ["acme"], "7x7 [ACME]"),
        ("", ["a"], ""),
    ],
)
def test_a_match_is_marked_in_each_group_of_a_number(number, searched, shown):
    groups = cut_number(number, *searched)
    texts = ["".join(f"[{text}]" if kind == "match" else text for kind, text in group) for group in groups]
    assert " ".join(texts) == shown


@pytest.mark.parametrize(
    ("number", "expected"),
    [("+14560000000", "US"), ("SHOP", None), ("12345", None), ("nonsense!", None), ("", None), ("+0", None)],
)
def test_a_phone_has_its_country_as_far_as_it_can_be_told(number, expected):
    assert display.describe_phone(number)[0] == expected


# The curl command


def curl_arguments(line: str) -> tuple[str, str, dict[str, str]]:
    """Return the address, the user and the fields of a curl command, as a shell reads them."""
    program, address, option, user, *rest = shlex.split(line)
    assert (program, option) == ("curl", "-u")
    assert rest[::2] == ["--data-urlencode"] * (len(rest) // 2)
    return address, user, dict(field.split("=", 1) for field in rest[1::2])


@pytest.mark.parametrize("body", NASTY)
def test_the_curl_line_of_a_sent_message_sends_it_again(body):
    message = SENT._replace(body=body, origin_number="My Shop")
    assert curl_arguments(display.write_curl("http://localhost:8000", "phk_a-b", message)) == (
        "http://localhost:8000/v1/messages",
        "phk_a-b:",
        {"to": "+14560000000", "origin": "My Shop", "body": body},
    )


@pytest.mark.parametrize("body", NASTY)
def test_the_curl_line_of_a_received_message_simulates_it_again(body):
    message = INBOUND._replace(body=body)
    assert curl_arguments(display.write_curl("http://localhost", "~key", message)) == (
        "http://localhost/sandbox/inbound",
        "~key:",
        {"from": "+14560000000", "to": "+15005550006", "body": body},
    )


# Against a server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("samples")) as start:
        yield start()


def address(server: Process) -> str:
    return f"http://127.0.0.1:{server.port}"


def sample(server: Process, language: str) -> str:
    return dict(display.list_samples(address(server), KEY))[language]


def run(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout


def check_answer(text: str) -> None:
    answer: Any = json.loads(text)
    assert answer["message"]["to"] == "+14560000000"
    assert answer["message"]["body"] == "Hello from Phonify. Your code is 424242."


def test_the_python_sample_sends_a_message(server, tmp_path):
    check_answer(run([sys.executable, "-c", sample(server, "Python")], tmp_path))


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_sample_sends_a_message(server, tmp_path):
    check_answer(run(["sh", "-c", sample(server, "curl")], tmp_path))


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("body", [body for body in NASTY if body.strip()])
def test_the_curl_line_sends_exactly_the_same_text(server, tmp_path, body):
    for message in (SENT, INBOUND):
        line = display.write_curl(address(server), KEY, message._replace(body=body))
        sent = json.loads(run(["sh", "-c", line], tmp_path))["message"]
        assert sent["body"] == body
        assert sent["direction"] == message.direction
        assert sent["origin"]["number"] == message.origin_number
    assert list(tmp_path.iterdir()) == []  # the shell ran no command in the text


@pytest.mark.parametrize(
    ("language", "file", "command"),
    [("JavaScript", "sample.mjs", ["node", "--check"]), ("Ruby", "sample.rb", ["ruby", "-c"])],
)
def test_the_other_samples_are_well_formed_as_far_as_this_machine_can_tell(server, tmp_path, language, file, command):
    (tmp_path / file).write_text(sample(server, language))
    if shutil.which(command[0]):
        run([*command, file], tmp_path)
    assert f'"{address(server)}/v1/messages"' in sample(server, language)


def test_a_key_that_a_shell_would_read_as_something_else_is_quoted():
    curl = dict(display.list_samples("http://localhost", "~root"))["curl"]
    assert "'~root:'" in curl
