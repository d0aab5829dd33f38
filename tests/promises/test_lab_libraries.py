"""The lab against apps as the guides show them: with the packages standardwebhooks and twilio, and without any."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import standardwebhooks
from flask import Flask, Response, request
from flask.testing import FlaskCliRunner
from twilio.request_validator import RequestValidator
from werkzeug.serving import make_server

from phonify.clock import SystemClock
from tests.support.app import ROOT
from tests.support.lab_receivers.faults import SECRETS

pytestmark = pytest.mark.slow

Serve = Callable[[Flask], str]


@pytest.fixture
def clock() -> SystemClock:
    """The machine's clock: an app compares it with the time of a signature."""
    return SystemClock()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves a Flask app until the end of the test. It returns its address."""
    servers = []

    def serve(app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def try_app(runner: FlaskCliRunner, form: str, *arguments: str) -> list[tuple[str, str]]:
    """Return the trials with a verdict, and the verdicts."""
    command = ["lab", "--form", form, "--secret", SECRETS[form], "--limit", "5", "--json", *arguments]
    report = json.loads(runner.invoke(args=command).stdout)
    return [(trial["name"], finding["verdict"]) for trial in report["trials"] for finding in trial["findings"]]


def add_probe(app: Flask) -> tuple[dict[str, int], dict[str, str]]:
    """Add the probe of the guide to an app. Returns what it reads: the counts and the states."""
    guide = (ROOT / "phonify/docs/lab.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    handled: dict[str, int] = {}
    states: dict[str, str] = {}
    exec(code, {"app": app, "request": request, "handled": handled, "states": states})
    return handled, states


def test_an_app_with_standardwebhooks_fails_nothing(runner: FlaskCliRunner, serve: Serve) -> None:
    app, seen, lock = Flask("app"), set[str](), threading.Lock()
    handled, states = add_probe(app)

    @app.post("/sms")
    def receive() -> Any:
        try:
            webhook = standardwebhooks.Webhook(SECRETS["standard"])
            event = webhook.verify(request.get_data(), dict(request.headers))
        except standardwebhooks.WebhookVerificationError:
            return "", 401
        message = event["data"].get("message")
        with lock:
            if message is not None and request.headers["webhook-id"] not in seen:
                seen.add(request.headers["webhook-id"])
                handled[message["id"]] = handled.get(message["id"], 0) + 1
                if states.get(message["id"]) != "message.delivered":
                    states[message["id"]] = event["type"]
        return "", 204

    address = serve(app)
    assert try_app(runner, "standard", f"{address}/sms", "--probe", f"{address}/probe") == []


def test_an_app_with_the_code_of_the_guide_fails_nothing(runner: FlaskCliRunner, serve: Serve) -> None:
    guide = (ROOT / "phonify/docs/webhooks.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "def is_genuine" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    app = Flask("app")

    @app.post("/sms")
    def receive() -> Any:
        genuine = names["is_genuine"](SECRETS["standard"], request.headers, request.get_data())
        return "", 204 if genuine else 401

    assert try_app(runner, "standard", f"{serve(app)}/sms") == []


def test_an_app_with_the_validator_of_twilio_fails_nothing(runner: FlaskCliRunner, serve: Serve) -> None:
    app, lock = Flask("app"), threading.Lock()
    validator, seen = RequestValidator(SECRETS["twilio"]), set[str]()
    handled, states = add_probe(app)

    @app.before_request
    def check() -> Any:
        if request.path == "/probe":
            return None
        signature = request.headers.get("X-Twilio-Signature", "")
        return None if validator.validate(request.url, request.form, signature) else ("", 403)

    @app.post("/<_kind>")
    def receive(_kind: str) -> Any:
        sid, status = request.form["MessageSid"], request.form["SmsStatus"]
        with lock:
            if f"{sid} {status}" not in seen:
                seen.add(f"{sid} {status}")
                handled[sid] = handled.get(sid, 0) + 1
                if states.get(sid) != "delivered":
                    states[sid] = status
        return Response("<Response><Message>Thank you</Message></Response>", mimetype="text/xml")

    address = serve(app)
    arguments = [f"{address}/sms", "--status-url", f"{address}/status", "--probe", f"{address}/probe"]
    assert try_app(runner, "twilio", *arguments) == []


def test_an_app_that_checks_nothing_accepts_every_forgery(runner: FlaskCliRunner, serve: Serve) -> None:
    app = Flask("app")
    app.post("/sms")(lambda: str(len(request.get_data())))
    found = try_app(runner, "standard", f"{serve(app)}/sms")
    assert found == [
        ("forged", "accepted_forgery"),
        ("missing", "accepted_forgery"),
        ("other_bytes", "accepted_forgery"),
        ("stale", "accepted_replay"),
        ("huge", "accepted_forgery"),
    ]
