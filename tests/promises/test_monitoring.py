"""Tests for operators: health, readiness, metrics, request ids, logs as JSON."""

import json
import re
import sqlite3
import time
import urllib.request

import pytest

from tests.support.app import ROOT

# /healthz and /readyz


def test_health_is_answered_without_a_key(anonymous):
    response = anonymous.get("/healthz")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_a_server_that_can_write_and_deliver_is_ready(anonymous):
    response = anonymous.get("/readyz")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_a_server_whose_database_can_not_be_written_is_not_ready_and_says_so(anonymous, lock_database):
    other = lock_database("EXCLUSIVE")
    response = anonymous.get("/readyz")
    other.close()
    assert response.status_code == 503
    assert response.get_json()["status"] == "unavailable"
    assert any("locked" in fault for fault in response.get_json()["faults"])
    assert anonymous.get("/healthz").status_code == 200
    assert anonymous.get("/readyz").status_code == 200


@pytest.mark.parametrize("name", ["messages", "messages_due", "messages_by_to"])
def test_a_server_is_not_ready_where_what_a_message_belongs_to_is_damaged(anonymous, disconnect, tmp_path, send, name):
    send()
    disconnect()
    with sqlite3.connect(tmp_path / "phonify.db") as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", [name]).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with (tmp_path / "phonify.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    response = anonymous.get("/readyz")
    assert response.status_code == 503
    assert "the database can't be written: database disk image is malformed" in response.get_json()["faults"]


def test_asking_whether_a_message_can_be_stored_stores_none(anonymous, client, operator):
    assert anonymous.get("/readyz").status_code == 200
    assert client.get("/v1/messages").get_json() == {"messages": []}
    assert operator.run("check").endswith(" is not damaged.\n")


def test_a_server_that_has_not_delivered_for_a_minute_is_not_ready(anonymous, send, clock, deliver):
    send()
    clock.advance(61)
    response = anonymous.get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["faults"] == ["delivery is behind: a message has been due for 61 seconds"]
    deliver()
    deliver()
    assert anonymous.get("/readyz").status_code == 200


def test_a_message_that_is_scheduled_does_not_count_as_late(anonymous, send, clock):
    send(send_at="2026-01-31T10:30:00Z")
    clock.advance(120)
    assert anonymous.get("/readyz").status_code == 200


# Request ids


def test_each_answer_has_an_id_of_its_own(client):
    ids = {client.get("/v1/messages").headers["X-Request-Id"] for _ in range(10)}
    assert len(ids) == 10


def test_the_id_of_a_client_is_kept(client):
    response = client.get("/v1/messages", headers={"X-Request-Id": "order-4711.a_b:c"})
    assert response.headers["X-Request-Id"] == "order-4711.a_b:c"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "ä", "a\tb", '"'])
def test_an_id_that_is_none_is_replaced(client, given):
    response = client.get("/v1/messages", headers={"X-Request-Id": given.encode().decode("latin-1")})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["X-Request-Id"])


@pytest.mark.parametrize(("path", "status"), [("/v1/nothing", 404), ("/v1/messages?limit=0", 400)])
def test_errors_have_an_id_too(client, path, status):
    response = client.get(path)
    assert (response.status_code, "X-Request-Id" in response.headers) == (status, True)


# Logs as JSON


@pytest.mark.slow
def test_a_server_writes_json_lines_where_asked_to(start):
    server = start(LOG_FORMAT="json", WORKERS="1")
    status, _ = server.call("POST", "/v1/messages?api_key=test-key", key=None, to="+15005550004", body="Hello")
    assert status == 201
    server.wait_for("blocked_by_recipient.*\n")
    server.wait_for("gunicorn.access.*\n")  # written after the answer, so either may come first
    assert server.terminate() == 0
    lines = [json.loads(line) for line in server.output.splitlines()]  # from the first line to the last
    (access,) = [line for line in lines if line["logger"] == "gunicorn.access"]
    (delivery,) = [line for line in lines if "blocked_by_recipient" in json.dumps(line)]
    assert (access["method"], access["path"], access["status"]) == ("POST", "/v1/messages?api_key=***", 201)
    assert delivery["request_id"] == access["request_id"]


@pytest.mark.slow
def test_a_first_start_with_json_makes_no_key_and_says_how_to_make_one(start):
    server = start(LOG_FORMAT="json", API_KEY=None)
    server.wait_for(r"there is no API key yet; make one with: PHONIFY_DATABASE=\S+ \S*flask --app app keys create")
    assert "phk_" not in server.output
    assert [json.loads(line)["logger"] for line in server.output.splitlines()] == ["phonify.server.start"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("command", [("app.py",), ("-m", "phonify", "worker")])
def test_wrong_settings_are_json_too(start, command):
    server = start(*command, LOG_FORMAT="json", PORT="x")
    assert server.popen.wait(30) == 2
    (line,) = [json.loads(line) for line in server.output.splitlines()]
    assert (line["level"], "PHONIFY_PORT: 'x' must be" in line["message"]) == ("error", True)


@pytest.mark.slow
def test_a_worker_writes_json_lines_where_asked_to(start):
    worker = start("-m", "flask", "--app", "app", "worker", LOG_FORMAT="json")
    worker.wait_for("Delivering messages of .*\n")
    assert worker.terminate() == 0
    assert [json.loads(line)["level"] for line in worker.output.splitlines()] == ["info"]


# /metrics


def test_there_are_no_metrics_unless_asked_for(anonymous):
    assert anonymous.get("/metrics").status_code == 404


def read_metrics(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as response:
        text = response.read().decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))


def settle(server):
    """Wait until all messages have their final state."""
    end = time.monotonic() + 20
    while server.call("GET", "/v1/messages?state=unconfirmed")[1]["messages"]:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_metrics_are_right_over_several_processes(start):
    server = start(METRICS="on", WORKERS="2")
    for _ in range(20):
        assert server.call("POST", "/v1/messages", to="+14560000000", body="Hello")[0] == 201
    assert server.call("POST", "/v1/messages", to="+15005550001", body="Hello")[0] == 402
    assert server.call("POST", "/v1/messages", to="+15005550004", body="Hello")[0] == 201
    assert (
        server.call("POST", "/sandbox/inbound", **{"from": "+14560000000", "to": "+15005550006", "body": "Hi"})[0]
        == 201
    )
    settle(server)
    metrics = read_metrics(server)
    assert metrics['phonify_http_requests_total{method="POST",route="/v1/messages",status="201"}'] == "21.0"
    assert metrics['phonify_http_requests_total{method="POST",route="/v1/messages",status="402"}'] == "1.0"
    assert metrics['phonify_messages{direction="outbound",state="sent"}'] == "20.0"
    assert metrics['phonify_messages{direction="outbound",state="error"}'] == "2.0"
    assert metrics['phonify_messages{direction="inbound",state="sent"}'] == "1.0"
    assert metrics['phonify_gateway_attempts_total{gateway="stub",outcome="sent"}'] == "20.0"
    assert metrics['phonify_gateway_attempts_total{gateway="stub",outcome="rejected"}'] == "1.0"
    assert metrics["phonify_queue_messages"] == "0.0"
    assert float(metrics['phonify_database_bytes{file="wal"}']) > 0


@pytest.mark.slow
def test_the_queue_is_seen_in_the_metrics(start):
    server = start(METRICS="on", WORKERS="1", ACCESS_LOG="off")
    assert server.call("POST", "/v1/messages", to="+15005550012", body="Hello")[0] == 201
    assert server.call("GET", "/v1/messages?state=sent&wait=0.3")[1] == {"messages": []}
    metrics = read_metrics(server)
    assert metrics['phonify_messages{direction="outbound",state="unconfirmed"}'] == "1.0"
    assert metrics['phonify_gateway_attempts_total{gateway="stub",outcome="unconfirmed"}'] == "1.0"


@pytest.mark.slow
def test_the_health_of_a_gateway_and_texts_without_account_are_seen_in_the_metrics(start):
    server = start(str(ROOT / "tests" / "support" / "hearing_app.py"), METRICS="on", WORKERS="1")
    assert server.call("POST", "/v1/messages", to="+14560000000", body="Hello")[0] == 201
    settle(server)
    text = {"sender": "+14560000000", "to": "+442071838750", "body": "Hi", "event_id": "1"}
    url = f"http://127.0.0.1:{server.port}/gateways/peer/a-secret-path"
    with urllib.request.urlopen(url, data=json.dumps([text]).encode()) as response:
        assert response.status == 202
    metrics = read_metrics(server)
    assert metrics['phonify_gateway_attempts_total{gateway="peer",outcome="sent"}'] == "1.0"
    assert metrics['phonify_gateway_paused{gateway="peer"}'] == "0.0"
    assert metrics['phonify_gateway_messages_in_doubt{gateway="peer"}'] == "0.0"
    assert metrics['phonify_gateway_look_ups_due{gateway="peer"}'] == "0.0"
    assert metrics["phonify_texts_without_account"] == "1.0"
    last = float(metrics['phonify_gateway_last_success_timestamp_seconds{gateway="peer"}'])
    assert abs(time.time() - last) < 120


# The check of a whole file


@pytest.mark.slow
def test_a_method_of_a_client_s_own_is_no_series_of_its_own(start):
    server = start(METRICS="on", WORKERS="1")
    for letter in "ABCDE":
        server.call(f"MADE{letter}", "/v1/messages")
    assert [name for name in read_metrics(server) if "_requests_total" in name] == [
        'phonify_http_requests_total{method="other",route="none",status="405"}'
    ]
