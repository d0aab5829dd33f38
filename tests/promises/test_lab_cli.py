"""The command `lab`: its arguments, its output, its reports and its exit status."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from phonify import create_app
from phonify.clock import SystemClock
from phonify.lab.trials import TRIALS
from tests.support.lab_receivers.faults import SECRETS
from tests.support.lab_receivers.server import serving_python
from tests.support.receivers import Receiver, status
from tests.support.servers import find_free_port

SECRET = SECRETS["standard"]
NAMES = [*(trial.name for trial in TRIALS), "probe"]


def run(runner: FlaskCliRunner, *arguments: str) -> Result:
    # An app may answer in 4 seconds, even if the machine is busy. The time also limits how slow a slow request is.
    return runner.invoke(args=["lab", "--limit", "4", *arguments])


@pytest.fixture
def clock() -> SystemClock:
    """The machine's clock: an app compares it with the time of a signature."""
    return SystemClock()


@pytest.fixture
def without_database(tmp_path: Path) -> FlaskCliRunner:
    return create_app({"DATABASE": tmp_path / "none.db"}).test_cli_runner()


def test_a_correct_app_passes_and_the_status_is_0(runner: FlaskCliRunner) -> None:
    with serving_python("standard") as address:
        result = run(runner, f"{address}/sms", "--secret", SECRET)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines[: len(TRIALS)]] == NAMES[:-1]
    assert lines[-2].startswith("21 passed, 1 not run, in ")
    assert (
        lines[-1]
        == "The lab has checked the answers, and nothing else. With a probe URL, it also checks what the app did."
    )


def test_the_last_line_of_a_report_with_a_probe_is_the_sum(runner: FlaskCliRunner) -> None:
    with serving_python("standard") as address:
        result = run(runner, f"{address}/sms", "--secret", SECRET, "--probe", f"{address}/probe")
    *_, probe, _, last = result.stdout.splitlines()
    assert probe.split(maxsplit=2) == ["ok", "probe", "The probe itself"]
    assert last.startswith("22 passed, in ")


def test_an_app_that_is_not_running_is_asked_for(runner: FlaskCliRunner) -> None:
    result = run(runner, f"http://127.0.0.1:{find_free_port()}/sms", "--secret", SECRET)
    assert result.exit_code == 1
    assert "The app refused the connection: a genuine event: the connection was refused\n" in result.stdout
    assert "What to do: Start the app, if it is not running." in result.stdout


def test_a_failure_says_what_goes_wrong_and_what_to_do_and_the_status_is_1(runner: FlaskCliRunner) -> None:
    with serving_python("standard", "missing") as address:
        result = run(runner, f"{address}/sms", "--secret", SECRET)
    assert result.exit_code == 1
    assert "FAILED   missing          No signature\n" in result.stdout
    assert "The app accepted a forgery: a request without webhook-signature got 200\n" in result.stdout
    assert "The app accepted a forgery (failure, accepted_forgery)\n  Everyone who knows the URL" in result.stdout
    assert "\n  What to do: First check the signature of each request" in result.stdout


def test_the_report_as_json_has_every_trial(runner: FlaskCliRunner) -> None:
    with serving_python("standard", "refuses_unknown_event") as address:
        result = run(runner, f"{address}/sms", "--secret", SECRET, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert [trial["name"] for trial in report["trials"]] == NAMES
    assert (report["form"], report["url"], report["probed"]) == ("standard", f"{address}/sms", False)
    assert [report[name] for name in ("passed", "warnings", "failed", "skipped")] == [20, 1, 0, 1]
    (finding,) = next(trial for trial in report["trials"] if trial["name"] == "unknown_event")["findings"]
    assert (finding["verdict"], finding["severity"]) == ("refused_unknown_event", "warning")
    assert finding["detail"] == "the answer to an unknown event was 404"


def test_the_report_as_junit_has_failures_and_skipped_trials(runner: FlaskCliRunner, tmp_path: Path) -> None:
    file = tmp_path / "lab.xml"
    with serving_python("standard", "no_time") as address:
        assert run(runner, f"{address}/sms", "--secret", SECRET, "--junit", str(file)).exit_code == 1
    suite = ET.parse(file).getroot()[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["22", "1", "0", "1"]
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == NAMES
    (failure,) = cases["stale"]
    assert failure.get("type") == "accepted_replay"
    assert (
        failure.get("message")
        == "The app accepted a request with an old signature: a request that was signed a day ago got 200"
    )
    assert "What to do: The webhook-timestamp header contains the time of the request." in (failure.text or "")
    assert cases["probe"][0].get("message") == "no probe was given"
    assert len(cases["forged"]) == 0


def test_what_an_app_answers_does_not_break_the_report(
    runner: FlaskCliRunner, make_receiver: Callable[..., Receiver], tmp_path: Path
) -> None:
    file = tmp_path / "lab.xml"
    app = make_receiver(status(200, "Content-Type: a\x07\x1b[31m/<&]]>", body="hello"))
    arguments = ["--form", "twilio", "--secret", SECRETS["twilio"], "--junit", str(file)]
    result = run(runner, app.url, *arguments)
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    assert ET.parse(file).getroot()[0].get("failures") == "1"


@pytest.mark.slow
def test_a_url_and_a_secret_need_no_database(without_database: FlaskCliRunner, tmp_path: Path) -> None:
    with serving_python("standard") as address:
        result = without_database.invoke(args=["lab", f"{address}/sms"], env={"LAB_SECRET": SECRET})
    assert result.exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_by_default_the_webhook_of_the_account_is_tried(client: FlaskClient, runner: FlaskCliRunner) -> None:
    with serving_python("standard") as address:
        client.put("/v1/webhook", json={"url": f"{address}/sms"})
        result = run(runner, "--json")
        # The app checks with another secret.
        assert result.exit_code == 1
        assert json.loads(result.stdout)["trials"][0]["findings"][0]["verdict"] == "refused_genuine"
        assert run(runner, "--secret", SECRET).exit_code == 0


def test_by_default_the_secret_of_the_account_signs(
    client: FlaskClient, runner: FlaskCliRunner, make_receiver: Callable[..., Receiver]
) -> None:
    app = make_receiver(status(401))
    client.put("/v1/webhook", json={"url": "http://127.0.0.1:9/"})
    run(runner, app.url)
    assert app.received[0].line == "POST /hook HTTP/1.1"
    assert app.received[0].headers["webhook-signature"].startswith("v1,")


@pytest.mark.slow
def test_an_app_that_uses_twilio_is_tried_at_both_urls(runner: FlaskCliRunner) -> None:
    arguments = ["--form", "twilio", "--secret", SECRETS["twilio"]]
    with serving_python("twilio", "missing") as address:
        result = run(runner, f"{address}/sms", "--status-url", f"{address}/status", *arguments)
        assert result.exit_code == 1
        assert result.stdout.count("a request without X-Twilio-Signature got 200") == 2
        alone = run(runner, "--status-url", f"{address}/status", *arguments)
        assert alone.stdout.count("a request without X-Twilio-Signature got 200") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://169.254.169.254/", "--secret", SECRET], "can't be posted to: addresses like 169.254.169.254"),
        (["ftp://127.0.0.1/", "--secret", SECRET], "it must begin with https:// or http://"),
        (["http://127.0.0.1:9/", "--secret", SECRET, "--probe", "http://0.0.0.0/"], "Invalid value for --probe"),
        (["http://127.0.0.1:9/", "--secret", "whsec_ä"], "not a valid secret, it must be whsec_ and base64"),
        (["http://127.0.0.1:9/", "--form", "twilio", "--secret", "a b"], "it must be 1 to 64 printable ASCII"),
        (["http://127.0.0.1:9/", "--form", "other"], "Invalid value for '--form'"),
        (["http://127.0.0.1:9/"], "the account 'default' has no webhook; give --secret"),
        ([], "the account 'default' has no webhook; give URL"),
        (["--form", "twilio"], "the account 'default' has no URL for received messages; give URL"),
        (["--account", "nobody"], "unknown account 'nobody'"),
        (["http://127.0.0.1:9/", "--status-url", "http://127.0.0.1:9/"], "--status-url needs --form twilio"),
        (["http://127.0.0.1:9/", "--secret", SECRET, "--limit", "0"], "Invalid value for '--limit'"),
        (["http://127.0.0.1:9/", "--secret", SECRET, "--junit", "/none/lab.xml"], "Invalid value for --junit"),
    ],
)
def test_wrong_arguments_end_with_status_2_and_nothing_is_posted(
    runner: FlaskCliRunner, arguments: list[str], said: str
) -> None:
    result = run(runner, *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""


def test_a_server_that_delivers_to_phones_posts_to_no_private_address(make_app: Callable[..., Flask]) -> None:
    app = make_app(WEBHOOK_PRIVATE="off")
    result = run(app.test_cli_runner(), "http://127.0.0.1:9/", "--secret", SECRET)
    assert result.exit_code == 2
    assert "addresses like 127.0.0.1 are not allowed" in result.stderr


def test_without_the_twilio_compatible_api_there_is_no_such_form(make_app: Callable[..., Flask]) -> None:
    result = run(make_app(TWILIO="off").test_cli_runner(), "http://127.0.0.1:9/", "--form", "twilio")
    assert result.exit_code == 2
    assert "this server does not support 'twilio'; see PHONIFY_TWILIO" in result.stderr
