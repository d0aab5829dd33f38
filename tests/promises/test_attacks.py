"""Tests of attacks from the network: on the parsing of requests, on keys, on logs, on terminals.

See test_inbox.py and test_browser.py for sessions, requests from other sites and scripts in texts. See test_hostile.py
for hostile arguments, and test_posting.py for the check of addresses.
"""

import gzip
import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import ROOT, basic, sign_in
from tests.support.processes import descendants_of
from tests.support.servers import Process, starting

pytestmark = pytest.mark.slow


KEY = "attacked-key-0123456789abcdef"
TO = "+14560000000"
AUTHORIZATION = f"Authorization: {basic(KEY)}\r\n".encode()
HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The server of all tests in this file. So the effect of one attack may show in a later test."""
    with starting(tmp_path_factory.mktemp("attacked")) as start:
        server = start(API_KEY=KEY, WORKERS="1", THREADS="4", WEBHOOK_PRIVATE="off")
        assert server.port
        yield server
        assert "Traceback" not in server.output


def talk(server: Process, *pieces: bytes, timeout: float = 15) -> bytes:
    """Send bytes and return all received bytes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        except TimeoutError:
            raise
        except OSError:
            pass  # the server closed the connection before it had read everything
        return received


def statuses_of(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def stored(server: Process, text: str) -> int:
    return len(server.call("GET", f"/v1/messages?q={text}", KEY)[1]["messages"])


# Sizes


@pytest.mark.parametrize(
    ("name", "request_", "statuses"),
    [
        ("a body said to be 10 GB", HEAD + JSON + b"Content-Length: 10000000000\r\n\r\n{", {413}),
        ("a length of 30 digits", HEAD + JSON + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{", {413}),
        ("a chunk said to be 16 EB", HEAD + JSON + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffe\r\n{", {400}),
        ("300 headers", HEAD + b"X: y\r\n" * 300 + b"\r\n", {431}),
        ("a header of 1 MB", HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n", {431, None}),
        ("an address of 1 MB", b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n", {414, None}),
        ("2,000 fields", HEAD + FORM + b"Content-Length: 7999\r\n\r\n" + b"&".join([b"a=b"] * 2_000), {413}),
        ("2,000 fields in the address", b"GET /v1/messages?" + b"a&" * 2_000 + b" HTTP/1.1\r\nHost: x\r\n"
         + AUTHORIZATION + b"\r\n", {413}),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused_before_it_is_there(server, name, request_, statuses):
    begun = time.monotonic()
    answered = statuses_of(talk(server, request_))
    assert (answered[0] if answered else None) in statuses
    assert len(answered) <= 1
    assert time.monotonic() - begun < 5
    assert server.call("GET", "/v1/messages?limit=1", KEY)[0] == 200


def test_a_body_in_chunks_without_end_is_cut_off_at_256_kib(server):
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    received = talk(server, HEAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 500)
    assert statuses_of(received) in ([413], [])
    assert server.call("GET", "/v1/messages?limit=1", KEY)[0] == 200


def memory_of(server: Process) -> int:
    """Return the highest memory use of a process of the server, in KiB."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in descendants_of(server.popen.pid)]
    return max(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) for status in statuses)


BOMB = gzip.compress(b" " * 50_000_000)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP"])
def test_a_compressed_bomb_is_refused_as_it_is(server, coding):
    before = memory_of(server)
    head = HEAD + JSON + f"Content-Encoding: {coding}\r\nContent-Length: {len(BOMB)}\r\n\r\n".encode()
    assert statuses_of(talk(server, head + BOMB)) == [415]
    assert memory_of(server) - before < 20_000


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['])
def test_json_as_deep_as_a_body_may_be_is_refused_at_once(server, opening):
    body = (opening * 200_000)[:250_000].encode()
    begun = time.monotonic()
    received = talk(server, HEAD + JSON + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert statuses_of(received) == [400]
    assert b"malformed_json" in received
    assert time.monotonic() - begun < 3


# The same argument twice


@pytest.mark.parametrize(
    ("query", "body", "status", "kind"),
    [
        ("", "to=%2B14560000000&body=a&body=b", 400, "repeated_argument"),
        ("", "to=%2B14560000000&body=a&origin=A1&origin=B1", 400, "repeated_argument"),
        (f"?api_key={KEY}&api_key=other", "to=%2B14560000000&body=a", 401, "unauthorized"),
        (f"?api_key={KEY}", "api_key=other&to=%2B14560000000&body=a", 401, "unauthorized"),
    ],
)
def test_an_argument_given_twice_is_refused_and_never_chosen_from(server, query, body, status, kind):
    head = f"POST /v1/messages{query} HTTP/1.1\r\nHost: x\r\n".encode()
    received = talk(
        server, head + (b"" if query else AUTHORIZATION) + FORM + f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    assert statuses_of(received) == [status]
    assert kind.encode() in received


# Two requests that another server may read as one

SMUGGLED = HEAD + FORM + b"Content-Length: 31\r\n\r\nto=%2B14560000000&body=smuggled"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
AMBIGUOUS = {
    "a length, and chunks": b"Content-Length: 4\r\n" + CHUNKED + b"0\r\n\r\n",
    "chunks, and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 200\r\n\r\n",
    "a length twice": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "a length with a sign": b"Content-Length: +0\r\n\r\n",
    "a length in hex": b"Content-Length: 0x0\r\n\r\n",
    "a length with an underscore": b"Content-Length: 0_0\r\n\r\n",
    "a space before the colon": b"Content-Length : 0\r\n\r\n",
    "a coding like chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding behind a control character": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a coding on a second line": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\n" + CHUNKED + b"0\r\n\r\n",
    "chunked, but not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked and compressed": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a carriage return in a header": b"X: a\rContent-Length: 200\r\n\r\n",
    "a NUL in a header": b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "a line feed in a chunk's extension": CHUNKED + b"0;a=\n\r\n\r\n",
    "a size with a sign": CHUNKED + b"-0\r\n\r\n",
    "a size with a prefix": CHUNKED + b"0x0\r\n\r\n",
    "a size after a space": CHUNKED + b" 0\r\n\r\n",
    "chunks that end in line feeds": CHUNKED + b"0\n\n",
}


@pytest.mark.parametrize("form", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_request_whose_end_is_ambiguous_is_refused_and_nothing_after_it_is_read(server, form):
    (status,) = statuses_of(talk(server, HEAD + form + SMUGGLED))
    assert status in (400, 501)
    assert stored(server, "smuggled") == 0


def test_lines_that_end_in_line_feeds_alone_are_refused(server):
    (status,) = statuses_of(talk(server, (HEAD + b"Content-Length: 0\r\n\r\n").replace(b"\r\n", b"\n") + SMUGGLED))
    assert status == 400
    assert stored(server, "smuggled") == 0


def test_what_is_in_a_body_is_no_request(server):
    length = f"Content-Length: {len(SMUGGLED)}\r\n\r\n".encode()
    get = b"GET /v1/messages HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION + length + SMUGGLED
    assert statuses_of(talk(server, get)) == [415]
    assert statuses_of(talk(server, HEAD + JSON + length + SMUGGLED)) == [400]
    assert stored(server, "smuggled") == 0


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /v1", "PATH_INFO: /v1/nothing", "X-HTTP-Method-Override: DELETE"])
def test_no_header_of_a_client_says_what_is_asked_for(server, header):
    get = f"GET /v1/messages?limit=1 HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode() + AUTHORIZATION + b"\r\n"
    assert statuses_of(talk(server, get)) == [200]


def test_no_answer_leads_where_a_host_header_says(server):
    body = b"to=%2B14560000000&body=Hello"
    head = HEAD.replace(b"Host: x", b"Host: evil.example") + FORM
    created = talk(server, head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    page = talk(server, b"GET /inbox?api_key=" + KEY.encode() + b" HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert statuses_of(created + page) == [201, 303]
    assert b"evil" not in created + page


def test_the_cookie_of_a_session_is_for_tls_alone_where_the_proxy_says_that_it_came_by_tls(server):
    head = b"GET /inbox?api_key=" + KEY.encode() + b" HTTP/1.1\r\nHost: x\r\n"
    (cookie,) = re.findall(rb"(?i)set-cookie: (.*)\r\n", talk(server, head + b"X-Forwarded-Proto: https\r\n\r\n"))
    assert {b"Secure", b"HttpOnly", b"SameSite=Lax"} <= set(cookie.split(b"; "))


# Keys


def test_the_answer_to_a_wrong_key_does_not_tell_what_was_wrong_with_it(anonymous, operator):
    revoked = operator.make_key()
    operator.revoke_key(revoked)
    hashed = hashlib.sha256(revoked.encode()).hexdigest()
    wrong = [revoked, revoked[:-1], revoked + "x", "test-ke", "TEST-KEY", "x", "x" * 5_000, hashed]
    answers = set()
    for key in wrong:
        response = anonymous.get("/v1/messages", headers={"Authorization": basic(key)})
        headers = sorted((name, value) for name, value in response.headers if name != "X-Request-Id")
        answers.add((response.status_code, response.data, str(headers)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


def test_a_key_is_in_no_log_file_or_process_list_whatever_goes_wrong(server):
    credentials = basic(KEY).split()[1].encode()
    for way in (
        f"GET /v1/messages?api_key={KEY}&limit=0",
        f"GET /v1/nothing?api_key={KEY}",
        f"PATCH /v1/messages?api_key={KEY}",
        f"GET /inbox/nothing?api_key={KEY}",
        f"GET /v1/messages/{KEY}?api_key={KEY}x",
        f"GET //{KEY}:@host/v1/messages",
    ):
        talk(server, f"{way} HTTP/1.1\r\nHost: x\r\nReferer: http://x/?api_key={KEY}\r\n\r\n".encode())
    for body, kind in (
        (json.dumps({"api_key": KEY, "to": TO, "body": "Kept"}).encode(), JSON),
        (f'{{"api_key": "{KEY}", "to": '.encode(), JSON),
        (f"api_key={KEY}&to=1".encode(), FORM),
    ):
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nIdempotency-Key: once\r\n" + kind
        talk(server, head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    talk(server, b"GET /v1/messages HTTP/1.1\r\nCookie: phonify_key_default=" + KEY.encode() + b"\r\n\r\n")
    talk(server, b"GET /v1/messages HTTP/1.1\r\nAuthorization Basic " + credentials + b"\r\n\r\n")
    assert stored(server, "Kept") == 1
    folder = server.log.parent
    pids = [server.popen.pid, *descendants_of(server.popen.pid)]
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
    places = {path.name: path.read_bytes() for path in folder.glob("phonify.db*")}
    assert set(places) >= {"phonify.db", "phonify.db-wal", "phonify.db-lock"}
    # A client may send a key in the path. The access log shows this key like any other path.
    log = server.log.read_bytes().replace(f"GET /v1/messages/{KEY}?".encode(), b"")
    for name, content in {**places, "log": log, "process list": b"".join(lines)}.items():
        assert KEY.encode() not in content, name
        assert credentials not in content, name


def test_the_database_and_what_lies_beside_it_can_be_read_by_its_owner_alone(server):
    assert server.call("GET", "/v1/messages", KEY)[0] == 200
    modes = {path.name: path.stat().st_mode & 0o777 for path in server.log.parent.glob("phonify.db*")}
    assert len(modes) >= 4
    assert set(modes.values()) == {0o600}


# Lines of logs and of terminals

CONTROLS = 'one\r\n127.0.0.1 2026-01-01T00:00:00Z "GET /forged" 200\x1b[2J\x1b]0;title\x07\x9b31m\x00'


LOG_LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "


def test_no_field_of_a_request_forges_a_line_of_the_log(server):
    before = len(server.output)
    for method, path, headers in (
        ("GET", "/v1/messages?q=%0a127.0.0.1%20forged", "X-Request-Id: a%0aforged"),
        ("GET", "/v1/%0d%0aforged%1b%5b2J", "Referer: forged"),
        ("GET", "/inbox/%0aforged", "User-Agent: \x1b[2Jforged"),
        ("FORGED\x0b", "/v1/messages", "X: y"),
    ):
        talk(
            server, f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode("latin-1") + AUTHORIZATION + b"\r\n"
        )
    for arguments in ({"to": TO, "body": CONTROLS[:150].replace("\0", "")}, {"to": CONTROLS, "body": "x"}):
        server.call("POST", "/v1/messages", KEY, **arguments)
    server.call("POST", "/sandbox/inbound", KEY, **{"from": CONTROLS, "to": TO, "body": CONTROLS})
    server.call("GET", "/v1/messages?last", KEY)
    server.wait_for("messages\\?last")
    written = server.output[before:]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written)
    for line in written.splitlines():
        known = r"(INFO gunicorn\.access: 127\.0\.0\.1 \"|WARNING gunicorn\.error: Invalid request)"
        assert re.match(LOG_LINE + known, line), line


def test_no_text_that_was_received_reaches_a_terminal_with_its_control_characters(runner, client):
    client.post("/sandbox/inbound", json={"from": TO, "to": "+15005550006", "body": CONTROLS.replace("\0", "")[:160]})
    assert client.get("/v1/messages").get_json()["messages"]
    for command in (["messages"], ["messages", "--json"], ["subscriptions", "list"], ["keywords", "show"]):
        output = runner.invoke(args=command).output
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", output), command


def test_a_reply_with_control_characters_is_printed_without_them(runner, operator, execute):
    operator.run("keywords", "set", "--stop-reply", "Bye")
    execute("UPDATE keyword_replies SET stop_reply = ?", "Bye\n\x1b[2J")
    output = runner.invoke(args=["keywords", "show"]).output
    assert "Bye\\x0a\\x1b[2J" in output


# Pages


def test_every_page_whatever_its_address_has_the_security_headers(app, client):
    sign_in(client, "test-key")
    seen = 0
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<path:[^>]+>", "a/b", re.sub(r"<int:[^>]+>", "1", rule.rule))
        path = re.sub(r"<[^>]+>", "x", path)
        for method in sorted(rule.methods & {"GET", "POST", "PUT", "DELETE"}):
            response = client.open(path, method=method)
            response.close()
            if response.mimetype != "text/html":
                continue
            seen += 1
            headers = response.headers
            policy = headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy, (method, path)
            assert "default-src 'none'" in policy or "default-src 'self'" in policy, (method, path)
            assert "unsafe" not in policy, (method, path)
            assert headers["X-Frame-Options"] == "DENY", (method, path)
            assert headers["X-Content-Type-Options"] == "nosniff", (method, path)
            assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), (method, path)
    assert seen > 15
    assert str(ROOT) not in client.get("/inbox/nothing").get_data(as_text=True)
