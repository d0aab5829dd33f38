"""The fixture `phonify_twilio`: an app with Twilio's SDK is tested without a change to it."""

from collections.abc import Callable

import pytest

from tests.support.app import KEY, ROOT

pytest_plugins = ["pytester"]

# An app as it would run against Twilio, with its own credentials.
APP = """
    import os
    import threading

    import flask
    import pytest
    from twilio.request_validator import RequestValidator
    from twilio.rest import Client
    from twilio.twiml.messaging_response import MessagingResponse
    from werkzeug.serving import make_server

    ALICE = "+14155552671"
    client = Client("AC" + "f" * 32, os.environ.get("TWILIO_AUTH_TOKEN", "the-token"))
    app = flask.Flask("app")

    def send_code():
        return client.messages.create(to=ALICE, from_="+15005550006", body="Your code is 482193")

    @app.post("/sms")
    def answer():
        request, own = flask.request, os.environ.get("TWILIO_AUTH_TOKEN", "the-token")
        if not RequestValidator(own).validate(request.url, request.form, request.headers["X-Twilio-Signature"]):
            return "", 403
        response = MessagingResponse()
        response.message("You wrote: " + request.form["Body"])
        return str(response)

    @pytest.fixture
    def address():
        server = make_server("127.0.0.1", 0, app)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.port}"
        server.shutdown()
        thread.join()
        server.server_close()
"""
TESTS = """
    def test_a_code(phonify, phonify_twilio):
        sent = send_code()
        assert phonify.code(to=ALICE, timeout=20) == "482193"
        assert client.messages(sent.sid).fetch().account_sid == phonify_twilio.account_sid
        assert [message.sid for message in client.messages.list()] == [sent.sid]

    def test_a_reply(phonify, phonify_twilio, address):
        assert client.messages.list() == []
        phonify_twilio.set_inbound_url(address + "/sms")
        phonify.reply(ALICE, "Hello", to="+15005550006")
        assert phonify.wait_for(to=ALICE, timeout=20).body == "You wrote: Hello"
"""


@pytest.fixture
def run_suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], pytest.RunResult]:
    """Return a function that runs tests with the plugin in a process of their own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)

    def run(tests: str) -> pytest.RunResult:
        pytester.makepyfile(APP + tests)
        return pytester.runpytest_subprocess("-p", "phonify.testing.pytest_plugin")

    return run


@pytest.mark.slow
def test_the_app_s_clients_and_its_check_of_signatures_work_unchanged(run_suite, monkeypatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the-token-of-the-app")
    run_suite(TESTS).assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_token_that_is_not_in_the_environment_is_told_to_the_fixture(run_suite) -> None:
    telling = 'phonify_twilio.use_auth_token("the-token")'
    run_suite(TESTS.replace("phonify_twilio.set", f"{telling}\n        phonify_twilio.set")).assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_server_elsewhere_serves_the_sdk_too(run_suite, monkeypatch, start) -> None:
    server = start(WORKERS="1")
    monkeypatch.setenv("PHONIFY_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("PHONIFY_API_KEY", KEY)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the-token-of-the-app")
    run_suite(TESTS).assert_outcomes(passed=2)


@pytest.mark.slow
def test_after_the_test_clients_speak_to_twilio_again(run_suite) -> None:
    run_suite("""
    from twilio.http.http_client import TwilioHttpClient

    before = TwilioHttpClient.request

    def test_inside(phonify_twilio):
        assert TwilioHttpClient.request is not before
        assert phonify_twilio.redirect("https://api.twilio.com/2010-04-01/Accounts.json").startswith("http://127")
        assert phonify_twilio.redirect("https://example.com/x") == "https://example.com/x"

    def test_outside():
        assert TwilioHttpClient.request is before
""").assert_outcomes(passed=2)
