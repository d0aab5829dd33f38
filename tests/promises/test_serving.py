"""Tests of real server processes: the start, HTTP connections, the access log, the end, and the state after a kill."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.app import KEY, ROOT, basic
from tests.support.load import Load
from tests.support.processes import children_of, descendants_of, find_processes, is_running

pytestmark = pytest.mark.slow


TO = "+14560000000"
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO gunicorn\.access: "
    r'127\.0\.0\.1 "(?P<method>\S+) (?P<address>.*)" (?P<status>\d{3}) \d+ [\d.]+ms'
)


def wait_for_state(server, message_id: str, state: str, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while (shown := server.call("GET", f"/v1/messages/{message_id}")[1]["message"]["state"]) != state:
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)


def talk(server, data: bytes, *, end: bool = True) -> bytes:
    """Send bytes and return all received bytes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass  # the server closed the connection before it had read everything
        return received


def read_answer(received: bytes) -> tuple[int, list[str]]:
    """Return the status and the error types of an answer. The answer must be JSON."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert "content-type: application/json" in [line.lower() for line in lines]
    return int(lines[0].split()[1]), [error["type"] for error in json.loads(body)["errors"]]


def access_lines(server, count: int) -> list[str]:
    """Wait until the access log has the given number of lines. Returns the lines."""
    server.wait_for(r'(?s)(" \d{3} \d+ [\d.]+ms\n.*){' + str(count) + "}")
    return [line for line in server.output.splitlines() if line.endswith("ms")]


# The start


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_the_curl_line_of_the_first_start_sends_a_message_when_pasted_as_it_is(start):
    server = start(API_KEY=None)
    line = server.wait_for(r"(?m)^ +(curl .*)$")[1]
    result = subprocess.run(line, shell=True, check=True, capture_output=True, text=True)
    message = json.loads(result.stdout)["message"]
    assert (message["to"], message["body"]) == (TO, "Hello from Phonify")


def test_the_first_start_prints_the_address_and_a_key_that_works(start, tmp_path):
    server = start(API_KEY=None)
    key = server.wait_for(r"(?m)^ +(phk_\S{32})$")[1]
    server.wait_for("Make another key with: .*flask --app app keys create\n")
    assert server.output.startswith(f"Phonify serves http://127.0.0.1:{server.port} from {tmp_path}/phonify.db")
    assert server.call("GET", "/v1/messages", key) == (200, {"messages": []})


def test_the_second_start_prints_no_key_and_says_how_to_make_one(start):
    first = start(API_KEY=None)
    key = first.wait_for(r"(?m)^ +(phk_\S{32})$")[1]
    first.call("GET", "/v1/messages", key)
    assert first.terminate() == 0
    second = start(API_KEY=None)
    second.wait_for("Make another key with: .*flask --app app keys create\n")
    assert "phk_" not in second.output
    assert "curl" not in second.output
    assert second.call("GET", "/v1/messages", key)[0] == 200


def test_with_a_given_key_no_other_is_made_and_it_is_not_printed(start):
    server = start()
    assert server.call("GET", "/v1/messages")[0] == 200
    assert "phk_" not in server.output
    assert KEY not in server.output


def test_the_command_that_the_start_names_makes_a_key(start):
    server = start()
    command = server.wait_for(r"Make another key with: (.*)\n")[1]
    result = subprocess.run(command, shell=True, check=True, cwd=ROOT, capture_output=True, text=True)
    assert server.call("GET", "/v1/messages", result.stdout.strip())[0] == 200
    assert "Made a new database" not in result.stderr


def test_the_command_that_the_start_names_works_in_any_folder_and_with_the_default_database(start, tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    server = start(str(ROOT / "app.py"), cwd=folder, DATABASE=None)
    command = server.wait_for(r"Make another key with: (.*)\n")[1]
    assert "PHONIFY_DATABASE" not in command
    result = subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True, text=True)
    assert server.call("GET", "/v1/messages", result.stdout.strip())[0] == 200


def test_a_message_is_delivered_within_a_moment(start):
    server = start()
    status, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    assert (status, answer["message"]["state"]) == (201, "unconfirmed")
    status, answer = server.call("GET", "/v1/messages?state=sent&wait=10")
    assert [message["body"] for message in answer["messages"]] == ["Hello"]


def test_each_worker_of_a_server_answers(start):
    server = start(WORKERS="3", THREADS="1")
    assert {server.call("GET", "/v1/messages")[0] for _ in range(40)} == {200}


def test_a_port_in_use_is_one_clear_line_and_status_two(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start(PORT=str(port))
        assert server.popen.wait(30) == 2
    assert server.output == (
        f"Error: can't listen on 127.0.0.1 port {port}: Address already in use."
        " Set PHONIFY_HOST or PHONIFY_PORT to another value.\n"
    )


def test_the_port_of_another_server_of_ours_is_in_use(start):
    first = start()
    second = start(PORT=str(first.port))
    assert second.popen.wait(30) == 2
    assert "Address already in use" in second.output
    assert first.call("GET", "/v1/messages")[0] == 200


def test_a_start_that_fails_for_its_port_uses_up_no_first_key(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failed = start(API_KEY=None, PORT=str(taken.getsockname()[1]))
        assert failed.popen.wait(30) == 2
    assert start(API_KEY=None).wait_for(r"phk_\S{32}")


def test_a_host_that_is_not_ours_is_one_clear_line_and_status_two(start):
    server = start(HOST="192.0.2.1")
    assert server.popen.wait(30) == 2
    assert re.fullmatch(r"Error: can't listen on 192\.0\.2\.1 port 0: [^\n]+\n", server.output)


def test_all_wrong_settings_are_named_together_with_status_two(start):
    server = start(PORT="http", WORKERS="0", GATEWAY="pigeon", ORIGIN="?", API_KEY="secret key")
    assert server.popen.wait(30) == 2
    lines = server.output.splitlines()
    assert lines[0] == "Error: these settings can't be used:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "PHONIFY_PORT",
        "PHONIFY_API_KEY",
        "PHONIFY_ORIGIN",
        "PHONIFY_GATEWAY",
        "PHONIFY_WORKERS",
    ]
    assert "secret key" not in server.output


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/phonify.db", "No such file or directory"),
        ("notes.txt", "file is not a database"),
        ("folder", "Is a directory"),
    ],
)
def test_a_database_that_can_not_be_used_is_one_clear_line_and_status_two(start, tmp_path, name, why):
    (tmp_path / "notes.txt").write_text("Dear diary, " * 1_000)
    (tmp_path / "folder").mkdir()
    server = start(DATABASE=str(tmp_path / name))
    assert server.popen.wait(30) == 2
    assert server.output == f"Error: the database can't be used: {tmp_path / name}: {why}\n"


# On the wire


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n\x00\x01\x02\xff\xfe\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /v1/messages HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /v1/messages HTTP/1.1\r\nBad Name: x\r\n\r\n", 400),
        (b"GET /v1/messages HTTP/1.1\r\nX: \x00\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /v1/messages HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /v1/messages HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_can_not_be_read_as_http_is_answered_in_json(start, data, status):
    server = start(WORKERS="1")
    answered, types = read_answer(talk(server, data, end=False))
    assert (answered, len(types)) == (status, 1)
    assert server.call("GET", "/v1/messages")[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
        b"Content-Length: 100\r\n\r\nto=%2B1456",
    ],
    ids=["a chunk without a size", "a chunk without an end", "less than announced"],
)
def test_a_body_that_is_cut_off_stores_nothing_and_leaves_the_server_well(start, body):
    server = start(WORKERS="1")
    head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(KEY)}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n"
    received = talk(server, head.encode() + body)
    if received:
        assert read_answer(received)[0] == 400
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    assert "Traceback" not in server.output


@pytest.mark.parametrize("method", ["DELETE", "DESTROY"])
def test_a_waiting_message_is_cancelled_over_the_wire(start, method):
    server = start()
    _, answer = server.call("POST", "/v1/messages", to=TO, body="Hello", send_at="2099-01-31T09:30:00Z")
    path = f"/v1/messages/{answer['message']['id']}"
    assert server.call(method, path) == (200, {"message": answer["message"]})
    assert server.call("GET", path)[0] == 404


def test_a_body_in_chunks_is_read(start):
    server = start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    parts = iter([b'{"to": "+1456', b'0000000", "body": "Hello"}'])
    headers = {"Authorization": basic(KEY), "Content-Type": "application/json"}
    connection.request("POST", "/v1/messages", parts, headers, encode_chunked=True)
    assert connection.getresponse().status == 201
    connection.close()


def test_a_body_that_is_too_large_is_refused(start):
    server = start()
    status, answer = server.call("POST", "/v1/messages", to=TO, body="x" * 300_000)
    assert (status, answer["errors"][0]["type"]) == (413, "request_too_large")


def test_many_requests_go_over_one_connection(start):
    server = start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    statuses = []
    for number in range(50):
        body = json.dumps({"to": TO, "body": f"Hello {number}"})
        connection.request(
            "POST", "/v1/messages", body, {"Authorization": basic(KEY), "Content-Type": "application/json"}
        )
        sock = connection.sock
        response = connection.getresponse()
        response.read()
        statuses.append((response.status, connection.sock is sock))
    connection.close()
    assert statuses == [(201, True)] * 50


# The access log


def test_each_request_is_one_line_in_the_access_log(start):
    server = start()
    server.call("POST", "/v1/messages", to=TO, body="Secret text")
    server.call("GET", "/v1/nothing?x=1")
    lines = [LINE.fullmatch(line) for line in access_lines(server, 2)]
    # A line is written after its answer. So the lines of two connections may have any order.
    assert {(line["method"], line["address"], line["status"]) for line in lines} == {
        ("POST", "/v1/messages", "201"),
        ("GET", "/v1/nothing?x=1", "404"),
    }
    assert "Secret text" not in server.output


def test_keys_are_masked_in_the_access_log(start):
    key = "wire-key-0123456789abcdef"
    server = start(API_KEY=key)
    addresses = [
        f"/v1/messages?api_key={key}&limit=1",
        f"/v1/messages?limit=1&%61pi_key={key}",
        f"/v1/messages?%61%70%69%5F%6B%65%79={key}",
        f"/v1/messages?API_KEY={key}",
        f"/v1/messages?api%5fkey={key}&x",
    ]
    assert [server.call("GET", address, key=None)[0] for address in addresses] == [200, 200, 200, 401, 200]
    server.call("GET", "/v1/messages", key)
    lines = [LINE.fullmatch(line)["address"] for line in access_lines(server, 6)]
    assert set(lines) == {
        "/v1/messages?api_key=***&limit=1",
        "/v1/messages?limit=1&%61pi_key=***",
        "/v1/messages?%61%70%69%5F%6B%65%79=***",
        "/v1/messages?API_KEY=***",
        "/v1/messages?api%5fkey=***&x",
        "/v1/messages",
    }
    assert key not in server.output
    assert basic(key).split()[1] not in server.output


def test_keys_are_masked_where_a_request_could_not_be_read(start):
    key = "wire-key-0123456789abcdef"
    server = start(API_KEY=key, WORKERS="1")
    talk(server, f"GET /v1/messages?api_key={key} HTTP/9.9\r\n\r\n".encode())
    talk(server, f"GET /v1/messages?api_key={key}\r\n\r\n".encode())
    talk(server, f"GET /v1/messages?api_key={key}&{'x' * 9_000} HTTP/1.1\r\n\r\n".encode())
    talk(server, f"GET /v1/messages HTTP/1.1\r\nAuthorization {basic(key)}\r\n\r\n".encode())
    talk(server, f"GET /v1/messages HTTP/1.1\r\nAuthorization: {basic(key)}\x00\r\n\r\n".encode())
    talk(server, f"GET /v1/messages HTTP/1.1\r\nX: 1\r\n Authorization: {basic(key)}\r\n\r\n".encode())
    assert server.call("GET", "/v1/messages", key)[0] == 200
    access_lines(server, 1)
    assert key not in server.output
    assert basic(key).split()[1] not in server.output


@pytest.mark.parametrize(
    "address",
    [
        b"/v1/messages?q=%0d%0a127.0.0.1%20FAKE",
        b"/v1/messages?q=\x0b\x0c\x1c\x85",
        b"/v1/\x1b[31mred",
        b"/v1/\x7f\x80\x9f",
        b"/v1/\ra",
        b"/v1/\na",
        b"/v1/\xe2\x80\xa8line",
        b'/v1/"quoted"%s%d',
    ],
)
def test_control_characters_in_an_address_do_not_break_the_line_of_the_log(start, address):
    server = start(WORKERS="1")
    server.wait_for("Make another key.*\n")
    before = server.output
    talk(server, b"GET " + address + b" HTTP/1.1\r\nHost: x\r\nAuthorization: " + basic(KEY).encode() + b"\r\n\r\n")
    server.call("GET", "/v1/messages?q=last")
    server.wait_for("q=last")
    logged = server.log.read_bytes().removeprefix(before.encode())
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", logged)
    for line in logged.decode().splitlines():
        # Either a request, or the server's own warning that it could not read one.
        assert LINE.fullmatch(line) or re.match(r"[-\d:T.]+Z WARNING gunicorn\.error: Invalid request", line), line


def test_pages_their_parts_and_static_files_are_not_logged(start):
    server = start()
    session = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    paths = ("/", "/inbox/conversations", "/inbox/static/inbox.js", "/inbox/settings", "/docs", "/docs/testing")
    for path in (f"/?api_key={KEY}", *paths):
        assert session.open(f"http://127.0.0.1:{server.port}{path}").status == 200
    talk(server, b"GET /inbox/nothing HTTP/1.0\r\n\r\n")
    talk(server, b"GET /docs/nothing HTTP/1.0\r\n\r\n")
    server.call("GET", "/v1/messages?q=last")
    server.wait_for("q=last")
    server.wait_for("/docs/nothing")
    assert {LINE.fullmatch(line)["address"] for line in access_lines(server, 2)} == {
        "/docs/nothing",
        "/v1/messages?q=last",
    }


def test_pages_are_logged_at_the_level_debug(start):
    server = start(LOG_LEVEL="DEBUG")
    server.call("GET", "/healthz")
    talk(server, b"GET /docs HTTP/1.0\r\n\r\n")
    assert server.wait_for(r'INFO gunicorn\.access: 127\.0\.0\.1 "GET /docs" 200 ')


LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) [a-z_.]+: .+")


def test_all_lines_of_the_log_have_one_format(start):
    server = start(LOG_LEVEL="DEBUG", WORKERS="1", PROT="1")
    assert server.call("POST", "/v1/messages", to="+15005550004", body="Hello")[0] == 201
    talk(server, b"GET / HTTP/9.9\r\n\r\n")
    for part in ("is not a setting", "Phonify serves", "gunicorn.access", "blocked_by_recipient", "Invalid request"):
        server.wait_for(f"{part}.*\n")
    lines = [line for line in server.output.splitlines() if not line.startswith((" ", "Phonify", "The inbox", "Make"))]
    assert [line for line in lines if line and line != "Send a message:" and not LOG_LINE.fullmatch(line)] == []


def test_the_access_log_can_be_turned_off(start):
    server = start(ACCESS_LOG="off")
    server.call("GET", "/v1/messages")
    assert server.terminate() == 0
    assert '/v1/messages" ' not in server.output


# The end


GONE = ("ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError", "RemoteDisconnected")


def load_until_gone(server, threads: int) -> Load:
    """Return load with a new connection for each request. The server may refuse a connection or never accept it."""
    return Load(server.port, threads, kept_alive=False, until_gone=True)


def assert_only_cut_off_by_the_end(load: Load) -> None:
    assert set(load.statuses) == {201}
    assert [ended for ended in load.cut_off if not any(kind in ended for kind in GONE)] == []


def test_sigterm_under_load_leaves_nothing_half_done(start, tmp_path):
    server = start()
    with load_until_gone(server, 8) as load:
        load.wait_for(200)
        assert server.terminate() == 0
        load.join()
    assert_only_cut_off_by_the_end(load)
    connection = sqlite3.connect(tmp_path / "phonify.db")
    rows = connection.execute("SELECT id, state, submitted_at FROM messages").fetchall()
    connection.close()
    # Every stored request was answered, and the outcome of every sent message is known.
    assert sorted(id_ for id_, _, _ in rows) == sorted(load.acknowledged)
    assert {state for _, state, _ in rows} <= {"sent", "unconfirmed"}
    assert [row for row in rows if row[2] is not None] == []
    assert "Traceback" not in server.output


def start_and_look_closely(start):
    """Start a server. Returns at the moment when the server has printed its address."""
    server = start()
    while "Phonify serves" not in server.output:
        assert server.popen.poll() is None
    return server


def test_a_reload_as_soon_as_the_address_is_printed_cuts_nobody_off(start):
    server = start_and_look_closely(start)
    server.popen.send_signal(signal.SIGHUP)
    for _ in range(20):
        assert server.call("GET", "/v1/messages")[0] == 200
    assert server.terminate() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_end_as_soon_as_the_address_is_printed_is_an_orderly_one(start, how):
    server = start_and_look_closely(start)
    server.popen.send_signal(how)
    assert server.popen.wait(20) == 0
    assert "Traceback" not in server.output


def test_after_an_orderly_end_all_is_in_the_one_file(start, tmp_path):
    server = start()
    _, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    wait_for_state(server, answer["message"]["id"], "sent")
    assert b"303 SEE OTHER" in talk(server, f"GET /?api_key={KEY} HTTP/1.0\r\n\r\n".encode())
    assert (tmp_path / "phonify.db-wal").stat().st_size > 0
    assert server.terminate() == 0
    assert sorted(path.name for path in tmp_path.glob("phonify.db*")) == [
        "phonify.db",
        "phonify.db-lock",
    ]
    connection = sqlite3.connect(tmp_path / "phonify.db")
    assert connection.execute("SELECT state FROM messages").fetchall() == [("sent",)]
    connection.close()


def test_what_was_left_unconfirmed_at_sigterm_is_delivered_after_the_next_start(start):
    server = start()
    with load_until_gone(server, 4) as load:
        load.wait_for(50)
        assert server.terminate() == 0
        load.join()
    again = start()
    for message_id in load.acknowledged:
        wait_for_state(again, message_id, "sent")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_waits_ends_quickly_when_the_server_is_stopped(start, how):
    server = start(WORKERS="1")
    answers: list[object] = []

    def wait() -> None:
        try:
            answers.append(server.call("GET", "/v1/messages?wait=30"))
        except OSError as error:
            answers.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    # Requests are handled in order. So an answer to a later request shows that the earlier request waits.
    deadline = time.monotonic() + 20
    while count_connections(server) < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    server.call("GET", "/v1/messages")
    stopped = time.monotonic()
    server.popen.send_signal(how)
    try:
        assert server.popen.wait(15) == 0
    finally:
        server.kill_all()
        waiting.join()
    assert time.monotonic() - stopped < 5
    assert answers == [(200, {"messages": []})]


def count_connections(server) -> int:
    """Return the number of established connections to the server, from the kernel."""
    port = f":{server.port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if line.split()[1].endswith(port) and line.split()[3] == "01")


def test_requests_that_never_end_hold_up_the_end_no_longer_than_the_grace_period(start):
    server = start(WORKERS="1", GRACE="3")
    with (
        socket.create_connection(("127.0.0.1", server.port)),
        socket.create_connection(("127.0.0.1", server.port)) as half,
    ):
        half.sendall(b"GET /v1/messages HTTP/1.1\r\nHost:")
        server.call("GET", "/v1/messages")
        stopped = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - stopped < 6


def test_workers_and_delivery_are_replaced_when_they_were_killed(start):
    server = start(WORKERS="1", LEASE="1")
    processes = find_processes(server, workers=1)
    for pid in (*processes.workers, processes.delivery):
        os.kill(pid, signal.SIGKILL)
    _, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    wait_for_state(server, answer["message"]["id"], "sent")
    server.wait_for("the delivery process has ended with status -9; starting a new delivery process")
    again = find_processes(server, workers=1)
    assert again.master == processes.master
    assert not {*processes.workers, processes.delivery} & set(again.all())
    assert server.terminate() == 0


def test_a_reload_replaces_all_workers_and_every_request_is_answered(start):
    server = start(WORKERS="2")
    before = find_processes(server)
    for _ in range(2):
        gone = set(find_processes(server).workers)
        server.popen.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and gone & set(children_of(before.master)):
            assert server.call("GET", "/v1/messages")[0] == 200
        assert not gone & set(find_processes(server).workers)
    after = find_processes(server)
    assert (after.master, after.delivery) == (before.master, before.delivery)
    status, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    assert status == 201
    wait_for_state(server, answer["message"]["id"], "sent")


def test_ctrl_c_reaches_all_processes_and_what_is_in_hand_is_finished(start):
    server = start(WORKERS="1")
    processes = find_processes(server, workers=1)
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(server.call("GET", "/v1/messages?wait=30")))
    waiting.start()
    while count_connections(server) < 1:
        time.sleep(0.01)
    server.call("GET", "/v1/messages")
    os.killpg(server.popen.pid, signal.SIGINT)
    assert server.popen.wait(15) == 0
    waiting.join()
    assert answers == [(200, {"messages": []})]
    assert [pid for pid in processes.all() if is_running(pid)] == []
    assert not re.search("Traceback|ERROR|WARNING.*signal", server.output)


# No orphans


@pytest.mark.parametrize("who", ["parent", "master"])
def test_if_the_parent_or_gunicorns_master_is_killed_all_else_ends_and_a_restart_gets_the_port(start, who):
    server = start()
    port = server.port
    processes = find_processes(server)
    _, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    with socket.create_connection(("127.0.0.1", port)) as idle:  # no client keeps a process alive
        idle.sendall(b"POST /v1/messages HTTP/1.1\r\n")
        os.kill(processes.parent if who == "parent" else processes.master, signal.SIGKILL)
        killed = time.monotonic()
        assert server.popen.wait(10) == (-9 if who == "parent" else 128 + 9)
        while any(is_running(pid) for pid in processes.all()):
            assert time.monotonic() - killed < 10
            time.sleep(0.01)
        print(f"\n{who} killed: all else has ended after {time.monotonic() - killed:.2f} s")
        assert time.monotonic() - killed < 2  # one second, on an idle machine
    successor = start(PORT=str(port))
    assert successor.port == port
    wait_for_state(successor, answer["message"]["id"], "sent")


def test_after_the_parent_alone_was_killed_an_immediate_restart_gets_the_port_and_delivers(start):
    server = start()
    port = server.port
    find_processes(server)
    _, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    os.kill(server.popen.pid, signal.SIGKILL)
    successor = start(PORT=str(port))
    assert successor.port == port
    wait_for_state(successor, answer["message"]["id"], "sent")


def test_if_gunicorn_ends_by_itself_all_else_ends_with_its_status(start):
    server = start(WORKERS="1")
    processes = find_processes(server, workers=1)
    os.kill(processes.master, signal.SIGTERM)
    assert server.popen.wait(15) == 0
    assert [pid for pid in processes.all() if is_running(pid)] == []


def test_a_process_that_stands_still_holds_up_the_end_no_longer_than_the_grace_period_and_a_margin(start):
    server = start(WORKERS="1", GRACE="1")
    processes = find_processes(server, workers=1)
    os.kill(processes.delivery, signal.SIGSTOP)
    stopped = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - stopped < 10
    assert descendants_of(server.popen.pid) == []
    assert not is_running(processes.delivery)
