"""The requests of the gateway to Twilio are valid by Twilio's own description. Prism checks them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from phonify.clock import monotonic
from phonify.gateways.base import GatewayFault, Later, Taken
from tests.support.load import wait_until
from tests.support.servers import Process
from tests.support.twilio_service import MESSAGE_SID, PHONE, make_gateway, make_message_now
from tests.support.twilio_spec import FILE, needs_spec

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm on this machine")
pytestmark = [pytest.mark.slow, needs_spec, needs_npm]


class Prism:
    """A started Prism, which serves the examples of the description."""

    def __init__(self, folder: Path) -> None:
        folder.joinpath("package.json").write_text('{"private": true}')
        command = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "@stoplight/prism-cli@5.16.0")
        result = subprocess.run(command, cwd=folder, capture_output=True, timeout=300)
        assert result.returncode == 0, result.stderr.decode(errors="backslashreplace")
        mock = ["node_modules/.bin/prism", "mock", str(FILE), "-h", "127.0.0.1", "-p", "0", "--errors"]
        self.process = Process(mock, log=folder / "log", cwd=folder, environ={**os.environ, "NO_COLOR": "1"})
        self.url = self.process.wait_for(r"listening on (http://127\.0\.0\.1:\d+)", timeout=120)[1]

    def judge(self, begin: int, count: int = 1) -> list[str]:
        """Return what Prism says about requests, in its output after the first characters."""

        def find() -> list[str]:
            lines = r"The request passed|Request body property .*|Request did not pass"
            return re.findall(lines, self.process.output[begin:])

        wait_until(lambda: len(find()) >= count)
        return find()


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    started = Prism(tmp_path_factory.mktemp("prism"))
    yield started
    started.process.kill_all()


@pytest.mark.parametrize("service", ["", f"MG{'c' * 32}"])
@pytest.mark.parametrize("key", ["", f"SK{'d' * 32}"])
@pytest.mark.parametrize(("origin", "body"), [("+15005550006", "Hello"), ("My Shop 24", "🎉" * 1_600), ("12345", "\n")])
def test_a_message_is_valid(prism: Prism, service: str, key: str, origin: str, body: str) -> None:
    begin = len(prism.process.output)
    given = {"MESSAGING_SERVICE_SID": service, "KEY_SID": key, "KEY_SECRET": key and "s3cret"}
    message = make_message_now(PHONE, body)._replace(origin=origin)
    ((_, outcome),) = make_gateway(prism.url, **given).send([message], monotonic() + 30)
    assert isinstance(outcome, Taken)
    assert re.fullmatch("SM[0-9a-f]{32}", *outcome.references)
    assert prism.judge(begin) == ["The request passed"]


def test_twilio_knows_every_parameter_of_a_message() -> None:
    description = json.loads(FILE.read_text(encoding="utf-8"))
    operation = description["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]
    (media,) = operation["requestBody"]["content"].values()
    request = make_gateway(MESSAGING_SERVICE_SID=f"MG{'c' * 32}").build_request(make_message_now(PHONE))
    given = dict(parse_qsl((request.body or b"").decode()))
    assert len(given) == 6
    assert given.keys() <= media["schema"]["properties"].keys()


def test_a_message_is_looked_up_with_a_valid_request(prism: Prism) -> None:
    begin = len(prism.process.output)
    message = make_message_now(PHONE)
    (receipt,) = make_gateway(prism.url).look_up(message, [MESSAGE_SID])
    assert receipt.message_id == message.id
    assert receipt.at is not None
    assert prism.judge(begin) == ["The request passed"]


def test_a_list_of_messages_is_a_valid_request(prism: Prism) -> None:
    begin = len(prism.process.output)
    # The description's own example of the answer is not valid, so Prism answers 500.
    with pytest.raises(GatewayFault, match="HTTP status 500"):
        make_gateway(prism.url).look_up(make_message_now(PHONE), ())
    assert prism.judge(begin) == ["The request passed"]


def test_the_account_is_asked_for_with_a_valid_request(prism: Prism) -> None:
    begin = len(prism.process.output)
    assert make_gateway(prism.url).probe() == "the account is active"
    assert prism.judge(begin) == ["The request passed"]


def test_a_request_that_is_not_valid_would_be_noticed(prism: Prism) -> None:
    begin = len(prism.process.output)
    gateway = make_gateway(prism.url, MESSAGING_SERVICE_SID="MG1")
    ((_, outcome),) = gateway.send([make_message_now(PHONE)], monotonic() + 30)
    assert outcome == Later(reason="HTTP status 422")
    assert prism.judge(begin, 3)[0] == "Request did not pass"
