"""Twilio's own packages, unchanged, against a started server; each answer is held against Twilio's description."""

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.support.app import ROOT
from tests.support.load import wait_until
from tests.support.servers import Process, starting
from tests.support.twilio import AC, MG, OWN, PHONE, TOKEN
from tests.support.twilio_proxy import Proxy, proxying
from tests.support.twilio_spec import needs_spec

pytestmark = [pytest.mark.slow, needs_spec]
APPS = ROOT / "tests" / "twilio_apps"
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm on this machine")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("server")) as start:
        process = start(WORKERS="1", TWILIO_AUTH_TOKEN=TOKEN)
        assert process.port
        yield process


@pytest.fixture
def proxy(server: Process) -> Iterator[Proxy]:
    with proxying(server.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the apps and with Twilio's package for Node."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(APPS, folder, dirs_exist_ok=True)
    folder.joinpath("package.json").write_text('{"private": true}')
    command = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "twilio@6")
    result = subprocess.run(command, cwd=folder, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr.decode(errors="backslashreplace")
    return folder


@pytest.fixture
def environ(proxy: Proxy) -> dict[str, str]:
    return {**os.environ, "TWILIO_ACCOUNT_SID": AC, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_URL": proxy.url}


@pytest.fixture
def sdk(proxy: Proxy) -> Client:
    client = Client(AC, TOKEN)
    client.api.base_url = proxy.url
    return client


# Python


def test_python_creates_fetches_redacts_and_removes(sdk: Client, proxy: Proxy) -> None:
    sent = sdk.messages.create(to=PHONE, from_=OWN, body="Hello 🎉")
    assert isinstance(sent.date_created, datetime)
    wait_until(lambda: sdk.messages(sent.sid).fetch().status == "delivered")
    found = sdk.messages(sent.sid).fetch()
    assert (found.body, found.price, found.num_segments) == ("Hello 🎉", "-0.00830", "1")
    assert isinstance(found.date_sent, datetime)
    assert found.update(body="").body == ""
    assert found.delete()
    with pytest.raises(TwilioRestException) as caught:
        sdk.messages(sent.sid).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    assert {method for method, _ in proxy.spec.checked} == {"GET", "POST", "DELETE"}


def test_python_schedules_and_cancels(sdk: Client) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    sent = sdk.messages.create(to=PHONE, messaging_service_sid=MG, body="Later", schedule_type="fixed", send_at=later)
    assert sent.status == "scheduled"
    assert sent.update(status="canceled").status == "canceled"


def test_python_lists_three_pages_and_streams_with_filters(sdk: Client) -> None:
    mine = "+14155550002"
    for number in range(7):
        sdk.messages.create(to=mine, from_=OWN, body=str(number))
    assert "".join(str(one.body) for one in sdk.messages.list(to=mine, page_size=3)) == "6543210"
    assert len(sdk.messages.list(to=mine, page_size=2, limit=5)) == 5
    wait_until(lambda: {one.status for one in sdk.messages.list(to=mine)} == {"delivered"})
    today = datetime.now(UTC)
    recent = {"date_sent_after": today - timedelta(hours=1), "date_sent_before": today + timedelta(hours=1)}
    assert len(list(sdk.messages.stream(to=mine, from_=OWN, page_size=2, **recent))) == 7
    assert len(list(sdk.messages.stream(to=mine, date_sent_after=today + timedelta(hours=1)))) == 0
    assert len(list(sdk.messages.stream(to=mine, date_sent_before=today - timedelta(days=2)))) == 0
    first = sdk.messages.page(to=mine, page_size=3)
    assert [one.body for one in first] == ["6", "5", "4"]
    second = sdk.messages.get_page(str(first.next_page_url))
    third = second.next_page()
    assert third is not None
    assert [one.body for one in third] == ["0"]
    before = third.previous_page()
    assert before is not None
    assert [one.body for one in before] == ["3", "2", "1"]


def test_python_reads_media_and_the_account_and_gives_feedback(sdk: Client) -> None:
    sent = sdk.messages.create(to=PHONE, from_=OWN, media_url=["http://a.example/a.png", "http://a.example/b"])
    media = sdk.messages(sent.sid).media.list()
    assert [one.content_type for one in media] == ["image/png", "application/octet-stream"]
    assert sdk.messages(sent.sid).media(str(media[1].sid)).fetch().parent_sid == sent.sid
    assert sdk.messages(sent.sid).feedback.create(outcome="confirmed").outcome == "confirmed"
    account = sdk.api.accounts(AC).fetch()
    assert (account.status, account.type, account.auth_token) == ("active", "Full", TOKEN)


def test_python_is_refused_with_code_and_message(sdk: Client, proxy: Proxy) -> None:
    with pytest.raises(TwilioRestException) as caught:
        sdk.messages.create(to="+1", from_=OWN, body="Hello")
    assert (caught.value.status, caught.value.code) == (400, 21211)
    assert caught.value.msg.endswith("The 'To' number +1 is not a valid phone number.")
    wrong = Client(AC, "0" * 32)
    wrong.api.base_url = proxy.url
    with pytest.raises(TwilioRestException) as caught:
        wrong.api.accounts(AC).fetch()
    assert (caught.value.status, caught.value.code) == (401, 20003)


# Node


@needs_npm
def test_node_makes_the_same_calls(package: Path, environ: dict[str, str]) -> None:
    command = ("node", "--test", "calls.test.mjs")
    result = subprocess.run(command, cwd=package, env=environ, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stdout.decode(errors="backslashreplace")


# An app


def check_app(app: Process, server: Process) -> None:
    """Let an app send, be told statuses, and answer a received message."""
    url = f"http://127.0.0.1:{app.port}"
    data = urlencode({"to": PHONE}).encode()
    with urllib.request.urlopen(f"{url}/send", data) as response:
        assert b"SM" in response.read()

    def read() -> bytes:
        with urllib.request.urlopen(f"{url}/statuses") as response:
            return bytes(response.read())

    wait_until(lambda: b"17 delivered" in read())
    assert b"".join(read().split()) == b'["17sent","17delivered"]'
    command = (sys.executable, "-m", "flask", "--app", "app", "twilio", "set-inbound", f"{url}/sms")
    database = str(server.log.parent / "phonify.db")
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PHONIFY_DATABASE": database}, check=True, capture_output=True)
    server.call("POST", "/sandbox/inbound", **{"from": PHONE, "to": OWN, "body": "héllo & 🎉"})
    answered = server.call("GET", f"/v1/messages?{urlencode({'to': PHONE, 'wait': 20, 'q': 'You said'})}")[1]
    assert [one["body"] for one in answered["messages"]] == ["You said: héllo & 🎉"]
    for path in ("/sms", "/status?order=17"):  # without a signature
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{url}{path}", data)
    _, removed = server.call("DELETE", "/sandbox/messages")
    assert removed


@pytest.fixture
def run_app(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return a function that starts an app in a folder."""
    started = []

    def run(*command: str, cwd: Path) -> Process:
        started.append(Process(list(command), log=tmp_path / "app.log", cwd=cwd, environ=environ))
        return started[-1]

    yield run
    for process in started:
        process.kill_all()


def test_an_app_with_flask_sends_and_answers(server: Process, run_app: Callable[..., Process]) -> None:
    check_app(run_app(sys.executable, "-u", "app.py", cwd=APPS), server)


@needs_npm
def test_an_app_with_node_sends_and_answers(server: Process, package: Path, run_app: Callable[..., Process]) -> None:
    check_app(run_app("node", "app.mjs", cwd=package), server)
