"""A hundred thousand callbacks, 20,000 for each kind of gateway. Most are forged or noise, and these change no row.

`test_gateway_fuzzed_server.py` sends such callbacks to a started server.
"""

import io
import json
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from flask import Flask

from tests.support.app import FakeClock
from tests.support.callback_noise import make_hostile, make_noise
from tests.support.callback_sites import SITES
from tests.support.callbacks import OWN, Call, Site
from tests.support.receivers import Received, Receiver, status
from tests.support.twilio_service import PUBLIC_URL

pytestmark = pytest.mark.slow

FORGED, NOISE, REPLAYED, LATE, HOSTILE = 9_000, 5_000, 1_000, 2_000, 3_000  # callbacks for each kind of gateway

Rows = dict[str, list[tuple[Any, ...]]]


class Target:
    """The app, called as a WSGI server calls it, with one kind of gateway."""

    def __init__(self, site: Site, app: Flask, database: Path) -> None:
        self.site, self.app = site, app
        self.statuses: Counter[int] = Counter()
        self._database = sqlite3.connect(database)

    def call(self, call: Call) -> int:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": call.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": call.path,
            "QUERY_STRING": call.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "CONTENT_LENGTH": str(len(call.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(call.body),
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in call.headers.items():
            name = name.upper().replace("-", "_")
            environ[name if name == "CONTENT_TYPE" else f"HTTP_{name}"] = value.encode(errors="replace").decode(
                "latin-1"
            )
        answered: list[int] = []
        chunks = self.app(environ, lambda status, headers, _=None: answered.append(int(status[:3])))
        b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        self.statuses[answered[-1]] += 1
        return answered[-1]

    def dump(self) -> Rows:
        """Return the rows of all tables."""
        names = self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: self._database.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}

    def close(self) -> None:
        self._database.close()


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> Site:
    return SITES[request.param]()


@pytest.fixture
def target(site: Site, make_app: Callable[..., Flask], receiver: Receiver, tmp_path: Path, caplog):
    def answer(client: Any, received: Received) -> None:
        code, body = site.answer(received.line, received.body)
        status(code, body=body)(client, received)

    receiver.act = answer
    settings = {**site.settings, site.url_setting: f"http://127.0.0.1:{receiver.port}"}
    app = make_app(GATEWAY=site.name, PUBLIC_URL=PUBLIC_URL, ORIGIN=OWN, **settings)
    caplog.set_level(logging.ERROR)
    target = Target(site, app, tmp_path / "phonify.db")
    yield target
    target.close()


@pytest.fixture
def ids(target: Target, deliver: Callable[..., int]) -> list[str]:
    """The ids of messages that the provider has taken."""
    to = [f"+1456000000{number}" for number in range(6)]
    answer = target.app.test_client().post("/v1/messages", json={"to": to, "body": "Hello"}).get_json()
    assert deliver(target.app) == 6
    return [message["id"] for message in answer["messages"]]


def list_states(target: Target) -> list[tuple[str, str | None]]:
    messages = target.app.test_client().get("/v1/messages?direction=outbound").get_json()["messages"]
    return [(message["state"], message.get("receipt", {}).get("status")) for message in reversed(messages)]


def test_what_is_forged_or_noise_or_a_repetition_changes_nothing(
    target: Target, site: Site, ids: list[str], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    random, threads = Random(site.name), set(threading.enumerate())
    heard, unheard = site.write_all(ids[:3], "Hello", clock.now()), site.write_all(ids[3:], "STOP", clock.now())
    for call in heard:
        assert target.call(call) < 300
    before = target.dump()
    for name, forge in site.forgeries.items():
        for _ in range(FORGED // len(site.forgeries) + 1):
            forged = forge(random, random.choice(heard + unheard), clock.now())
            assert 400 <= target.call(forged) < 500, (name, forged)
        assert target.dump() == before, name
    for _ in range(NOISE):
        noise = make_noise(random, site)
        assert 400 <= target.call(noise) < 500 or noise.method == "OPTIONS", noise
    assert target.dump() == before
    for _ in range(REPLAYED):
        assert target.call(random.choice(heard)) < 300
    assert target.dump() == before
    clock.advance(86_400)
    for _ in range(LATE):
        late = random.choice(heard + unheard * site.expires)
        assert target.call(late) == 403 if site.expires else target.call(late) < 300
    assert target.dump() == before
    assert target.statuses.total() >= 17_000
    assert set(threading.enumerate()) == threads
    assert caplog.records == []
    # The same callbacks with their proof do change something.
    assert list_states(target) == [("sent", "delivered")] * 3 + [("sent", None)] * 3
    for call in site.write_all(ids[3:], "STOP", clock.now()):
        assert target.call(call) < 300
    assert list_states(target) == [("sent", "delivered")] * 6
    phone = target.app.test_client().get("/v1/subscriptions").get_json()["subscriptions"][0]
    assert phone["subscribed"] is False


def test_hostile_callbacks_that_are_signed_are_answered_and_change_only_what_a_provider_may_change(
    target: Target, site: Site, ids: list[str], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    random, before = Random(site.name), target.dump()
    calls = site.write_all(ids, "Hello", clock.now())
    for _ in range(HOSTILE):
        hostile = site.prove(make_hostile(random, random.choice(calls)), clock.now())
        assert target.call(hostile) < 500, hostile
    assert caplog.records == []
    after = target.dump()
    told = {"messages", "receipts", "received_texts", "message_parts", "conversations", "subscriptions", "look_ups"}
    assert {name for name in before if after[name] != before[name]} <= told | {"sqlite_sequence"}
    assert len(list_states(target)) == len(ids)
    client, offset, count = target.app.test_client(), 0, 0
    while messages := client.get(f"/v1/messages?direction=inbound&limit=1000&offset={offset}").get_json()["messages"]:
        json.dumps(messages, ensure_ascii=False, allow_nan=False).encode()
        offset, count = offset + 1_000, count + len(messages)
    assert count
    assert target.statuses.keys() >= {200, 400} or target.statuses.keys() >= {204, 400}
